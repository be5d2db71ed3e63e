package autoscale_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// TestGuide keeps the example of a decision in the guide what is decided.
func TestGuide(t *testing.T) {
	const path = "../../docs/operations/autoscaling.md"
	s := state(times(5, 88.4), tracking("load", 70, func(r *grammar.Scaling) { r.MaxScaleUp = 1 }), openNow(4, 16))
	d := autoscale.Decide(noon, s).Decision
	if d.Outcome != fleet.OutcomeScaledUp || d.Wanted != 7 || d.Limited != 6 || d.Limit != fleet.LimitMaxScaleUp {
		t.Errorf("the example is %s, wanted %d, limited %d by %q", d.Outcome, d.Wanted, d.Limited, d.Limit)
	}
	inputs, err := json.MarshalIndent(d.Inputs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "<!-- decision -->")
	example, _, found := strings.Cut(rest, "<!-- /decision -->")
	if !found {
		t.Fatalf("%s has no example between its marks", path)
	}
	for _, want := range []string{"```\n" + d.Reason + "\n```", "```json\n" + string(inputs) + "\n```"} {
		if !strings.Contains(example, want) {
			t.Errorf("the example lacks\n%s", want)
		}
	}
}
