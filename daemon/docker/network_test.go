package docker

import (
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// engineNetworks are the networks of the installation, by their identifier in the store.
func engineNetworks(t *testing.T, e *Engine) map[string]network.Summary {
	t.Helper()
	list, err := e.client.NetworkList(t.Context(), network.ListOptions{Filters: e.ours()})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]network.Summary{}
	for _, n := range list {
		found[n.Labels[fleet.LabelNetwork]] = n
	}
	return found
}

func TestEnsureNetworkTwice(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkInternal, func(n *fleet.Network) {
		n.Subnet, n.Gateway = "10.213.7.0/24", "10.213.7.9"
		n.Settings = fleet.NetworkSettings{MTU: 1400, Labels: map[string]string{"team": "weddings"}}
	})
	for range 2 {
		if err := e.EnsureNetwork(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	all := engineNetworks(t, e)
	got := all[n.ID]
	if len(all) != 1 || got.Name != n.EngineName() || got.Driver != "bridge" || !got.Internal || got.Options[optionMTU] != "1400" ||
		got.IPAM.Config[0].Subnet != n.Subnet || got.IPAM.Config[0].Gateway != n.Gateway ||
		got.Labels["team"] != "weddings" || got.Labels[fleet.LabelEnvironment] != "staging" || got.Labels[fleet.LabelInstallation] != e.installation {
		t.Errorf("engine has %+v", all)
	}
	for range 2 {
		if err := e.RemoveNetwork(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if left := engineNetworks(t, e); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestEnsureNetworkWithOtherSettings(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal)
	if err := e.EnsureNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	n.DNS.Servers = []string{"10.1.1.1"} // of the containers, not of the network
	before := engineNetworks(t, e)[n.ID].ID
	if err := e.EnsureNetwork(t.Context(), n); err != nil || engineNetworks(t, e)[n.ID].ID != before {
		t.Errorf("made anew for DNS servers: %v", err)
	}
	n.Settings.MTU = 1300
	if err := e.EnsureNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if got := engineNetworks(t, e)[n.ID]; got.Options[optionMTU] != "1300" {
		t.Errorf("MTU is %s", got.Options[optionMTU])
	}
	ensure(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Networks = []fleet.Network{n} }))
	n.Settings.MTU = 1200
	wantKind(t, e.EnsureNetwork(t.Context(), n), fleet.ErrInUse, n.Name)
}

func TestEnsureNetworkRefusals(t *testing.T) {
	e := newEngine(t)
	taken := newNetwork("staging", fleet.NetworkExternal, func(n *fleet.Network) { n.Subnet = "10.213.8.0/24" })
	if err := e.EnsureNetwork(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	foreign := newNetwork("staging", fleet.NetworkExternal)
	made, err := e.client.NetworkCreate(t.Context(), foreign.EngineName(), network.CreateOptions{Driver: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.client.NetworkRemove(t.Context(), made.ID); err != nil {
			t.Error(err)
		}
	}()
	tests := map[string]struct {
		n    fleet.Network
		part string
	}{
		"overlap":       {newNetwork("staging", fleet.NetworkExternal, func(n *fleet.Network) { n.Subnet = "10.213.0.0/16" }), "10.213.8.0/24 of the network " + taken.EngineName()},
		"foreign name":  {foreign, "wedsyncd did not create"},
		"outside range": {newNetwork("staging", fleet.NetworkExternal, func(n *fleet.Network) { n.Subnet, n.Gateway = "10.213.9.0/24", "10.99.0.1" }), "10.99.0.1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := e.EnsureNetwork(t.Context(), tt.n)
			wantKind(t, err, fleet.ErrRefused, tt.part)
			t.Log(err)
		})
	}
	if all := engineNetworks(t, e); len(all) != 1 {
		t.Errorf("refused networks are there: %v", all)
	}
}

// Engines before 27 need an IPv6 subnet for IPv6; later ones choose one.
func TestIPv6Network(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal, func(n *fleet.Network) { n.Settings.EnableIPv6 = true })
	if err := e.EnsureNetwork(t.Context(), n); err != nil {
		wantKind(t, err, fleet.ErrRefused, "IPv6")
		return
	}
	if got := engineNetworks(t, e)[n.ID]; !got.EnableIPv6 {
		t.Errorf("engine has %+v", got)
	}
}

func TestIPv6Subnet(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal, func(n *fleet.Network) {
		n.Settings.EnableIPv6, n.Subnet = true, "fd00:213:7::/64"
	})
	if err := e.EnsureNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	got := engineNetworks(t, e)[n.ID]
	if !got.EnableIPv6 || !slices.ContainsFunc(got.IPAM.Config, func(c network.IPAMConfig) bool { return c.Subnet == n.Subnet }) {
		t.Errorf("engine has %+v", got)
	}
}

// An engine that is no Swarm manager has no overlay networks; one that is, does.
func TestOverlayNetwork(t *testing.T) {
	e := newEngine(t)
	info, err := e.client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := newNetwork("staging", fleet.NetworkOverlay)
	err = e.EnsureNetwork(t.Context(), n)
	if !info.Swarm.ControlAvailable {
		wantKind(t, err, fleet.ErrRefused, "Docker Swarm")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := engineNetworks(t, e)[n.ID]; got.Driver != "overlay" || !got.Attachable {
		t.Errorf("engine has %+v", got)
	}
}

func TestRemoveNetworkInUse(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal)
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Networks = []fleet.Network{n} })
	id := ensure(t, e, s)
	wantKind(t, e.RemoveNetwork(t.Context(), n), fleet.ErrInUse, n.Name, s.Instance.Name) // created only
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantKind(t, e.RemoveNetwork(t.Context(), n), fleet.ErrInUse, s.Instance.Name)
	if err := e.StopContainer(t.Context(), id, 0, true); err != nil {
		t.Fatal(err)
	}
	wantKind(t, e.RemoveNetwork(t.Context(), n), fleet.ErrInUse, s.Instance.Name)
	if err := e.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveNetwork(t.Context(), n); err != nil {
		t.Error(err)
	}
}

// Two daemons on one engine may both have a staging environment, and networks of one name.
func TestInstallationsShareAnEngine(t *testing.T) {
	first, second := newEngine(t), newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal)
	m := n
	m.ID = uuid.NewString()
	environment := "env-" + n.ID[:8] // no other test's default network
	for e, n := range map[*Engine]fleet.Network{first: n, second: m} {
		if err := e.EnsureNetwork(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		ensure(t, e, demo(t, e, environment))
		if all := engineNetworks(t, e); len(all) != 2 || all[n.ID].ID == "" || all[""].Labels[fleet.LabelEnvironment] != environment {
			t.Errorf("engine has %v", all)
		}
	}
	if a, b := engineNetworks(t, first), engineNetworks(t, second); a[n.ID].ID == b[m.ID].ID || a[""].ID == b[""].ID {
		t.Error("two installations share a network")
	}
	if err := first.RemoveNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if all := engineNetworks(t, second); len(all) != 2 {
		t.Errorf("removing one's network left the other %v", all)
	}
}

// A network whose row is gone must not keep its name from another of the same installation.
func TestNameOfAnEarlierNetwork(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal)
	if err := e.EnsureNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	m := n
	m.ID = uuid.NewString()
	if err := e.EnsureNetwork(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if all := engineNetworks(t, e); len(all) != 1 || all[m.ID].Name != m.EngineName() {
		t.Errorf("engine has %v", all)
	}
}

func TestRemoveStrayNetworks(t *testing.T) {
	e, other := newEngine(t), newEngine(t)
	fresh := newNetwork("staging", fleet.NetworkExternal)
	if err := e.EnsureNetwork(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	ensure(t, other, demo(t, other, "staging"))
	used := ensure(t, e, demo(t, e, "staging"))
	unused := ensure(t, e, demo(t, e, "production"))
	if err := e.RemoveContainer(t.Context(), unused); err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveStrayNetworks(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	left := engineNetworks(t, e)
	if len(left) != 2 || left[fresh.ID].ID == "" || left[""].Labels[fleet.LabelEnvironment] != "staging" {
		t.Errorf("left %v; want the network just made and the default one of staging", left)
	}
	if err := e.RemoveContainer(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveStrayNetworks(t.Context(), []fleet.Network{fresh}); err != nil {
		t.Fatal(err)
	}
	if left := engineNetworks(t, e); len(left) != 1 {
		t.Errorf("left %v", left)
	}
	if theirs := engineNetworks(t, other); len(theirs) != 1 {
		t.Errorf("the other installation has %v", theirs)
	}
}

func TestStray(t *testing.T) {
	now := time.Now()
	made := func(id string, ago time.Duration) network.Summary {
		return network.Summary{Created: now.Add(-ago), Labels: map[string]string{fleet.LabelNetwork: id}}
	}
	tests := map[string]struct {
		n    network.Summary
		want bool
	}{
		"default":       {made("", 0), true},
		"kept":          {made("kept", time.Hour), false},
		"just made":     {made("x", time.Second), false},
		"without a row": {made("x", time.Hour), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := stray(tt.n, map[string]bool{"kept": true}, now); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestNetworkOptions(t *testing.T) {
	tests := map[string]struct {
		n    fleet.Network
		want func(network.CreateOptions) bool
	}{
		"internal":  {fleet.Network{ID: "1", Type: fleet.NetworkInternal}, func(o network.CreateOptions) bool { return o.Driver == "bridge" && o.Internal }},
		"external":  {fleet.Network{ID: "1", Type: fleet.NetworkExternal}, func(o network.CreateOptions) bool { return o.Driver == "bridge" && !o.Internal }},
		"overlay":   {fleet.Network{ID: "1", Type: fleet.NetworkOverlay}, func(o network.CreateOptions) bool { return o.Driver == "overlay" && o.Attachable }},
		"no subnet": {fleet.Network{ID: "1"}, func(o network.CreateOptions) bool { return o.IPAM == nil }},
		"subnet": {fleet.Network{ID: "1", Subnet: "10.1.0.0/24", Gateway: "10.1.0.1"}, func(o network.CreateOptions) bool {
			return len(o.IPAM.Config) == 1 && o.IPAM.Config[0].Subnet == "10.1.0.0/24" && o.IPAM.Config[0].Gateway == "10.1.0.1"
		}},
		"ipv6":       {fleet.Network{ID: "1", Settings: fleet.NetworkSettings{EnableIPv6: true}}, func(o network.CreateOptions) bool { return o.EnableIPv6 != nil && *o.EnableIPv6 }},
		"no ipv6":    {fleet.Network{ID: "1"}, func(o network.CreateOptions) bool { return o.EnableIPv6 == nil }},
		"identifier": {fleet.Network{ID: "1"}, func(o network.CreateOptions) bool { return o.Labels[fleet.LabelNetwork] == "1" }},
		"default":    {fleet.Network{}, func(o network.CreateOptions) bool { _, ok := o.Labels[fleet.LabelNetwork]; return !ok }},
		"labels ours win": {fleet.Network{ID: "1", Environment: "e", Settings: fleet.NetworkSettings{Labels: map[string]string{fleet.LabelEnvironment: "x"}}},
			func(o network.CreateOptions) bool { return o.Labels[fleet.LabelEnvironment] == "e" }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := networkOptions(tt.n, "i"); !tt.want(got) || got.Labels[fleet.LabelInstallation] != "i" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestTwoInstallationsAtOnce has two installations make the default network of
// one environment at the same moment: each gets one of its own, and both run.
func TestTwoInstallationsAtOnce(t *testing.T) {
	for range 3 {
		engines := []*Engine{newEngine(t), newEngine(t)}
		errs := make(chan error, len(engines))
		for _, e := range engines {
			spec := demo(t, e, "twice")
			go func() {
				id, _, err := e.EnsureContainer(t.Context(), spec)
				if err == nil {
					err = e.StartContainer(t.Context(), id)
				}
				errs <- err
			}()
		}
		for range engines {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
}
