package machine

import (
	"slices"
	"strings"
	"testing"
)

func TestUndoTakesTheEnginesRulesAlone(t *testing.T) {
	const rules = `-P FORWARD ACCEPT
-N DOCKER
-N DOCKER-USER
-N mine
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i eth0 -j mine
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE
-A DOCKER-USER -j RETURN
-A mine -j ACCEPT
`
	want := []string{
		"-F DOCKER",
		"-F DOCKER-USER",
		"-D FORWARD -j DOCKER-USER",
		"-D FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"-D FORWARD -i docker0 ! -o docker0 -j ACCEPT",
		"-D POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
		"-X DOCKER",
		"-X DOCKER-USER",
	}
	var got []string
	for _, change := range undo(rules) {
		got = append(got, strings.Join(change, " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("undo:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
