package postgres_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func applied(context.Context, fleet.Network) error { return nil }

func createNetwork(t *testing.T, s interface {
	CreateNetwork(context.Context, fleet.Network, func(context.Context, fleet.Network) error) (fleet.Network, error)
}, environment, name string) fleet.Network {
	t.Helper()
	n, err := s.CreateNetwork(system(t), fleet.Network{Name: name, Type: fleet.NetworkInternal, Environment: environment}, applied)
	if err != nil {
		t.Fatalf("create network: %v", err)
	}
	return n
}

func TestNetworkRoundTrip(t *testing.T) {
	s, _ := open(t)
	want := fleet.Network{
		Name: "app", Type: fleet.NetworkExternal, Environment: "staging", Subnet: "10.20.0.0/24", Gateway: "10.20.0.1",
		DNS:      fleet.DNSConfig{Servers: []string{"10.20.0.2"}, Search: []string{"x.internal"}, Options: []string{"ndots:2"}},
		Settings: fleet.NetworkSettings{EnableIPv6: true, MTU: 1450, Labels: map[string]string{"team": "weddings"}},
		IsActive: true,
	}
	var sent fleet.Network
	got, err := s.CreateNetwork(system(t), want, func(_ context.Context, n fleet.Network) error { sent = n; return nil })
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.CreatedAt = got.ID, got.CreatedAt
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(sent, want) {
		t.Errorf("created %+v, engine got %+v, want %+v", got, sent, want)
	}
	if read, err := s.Network(system(t), got.ID); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, %v", read, err)
	}
	if list, err := s.Networks(system(t)); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestNetworkNames(t *testing.T) {
	s, _ := open(t)
	first := createNetwork(t, s, "staging", "app")
	createNetwork(t, s, "production", "app") // another environment's
	_, err := s.CreateNetwork(system(t), fleet.Network{Name: "app", Type: fleet.NetworkInternal, Environment: "staging"}, applied)
	wantField(t, err, fleet.ErrAlreadyExists, "network_name")
	if err := s.DeleteNetwork(system(t), first.ID, applied); err != nil {
		t.Fatal(err)
	}
	createNetwork(t, s, "staging", "app")
	_, err = s.Network(system(t), first.ID)
	wantKind(t, err, fleet.ErrNotFound)
}

// TestNetworkEngineRefuses: what the engine refuses is not written.
func TestNetworkEngineRefuses(t *testing.T) {
	s, _ := open(t)
	boom := fleet.Errorf(fleet.ErrRefused, "pool overlaps")
	_, err := s.CreateNetwork(system(t), fleet.Network{Name: "no", Type: fleet.NetworkInternal, Environment: "staging"},
		func(context.Context, fleet.Network) error { return boom })
	wantKind(t, err, fleet.ErrRefused)
	n := createNetwork(t, s, "staging", "app")
	_, err = s.UpdateNetwork(system(t), n.ID, func(n *fleet.Network) error { n.Subnet = "10.1.0.0/24"; return nil },
		func(context.Context, fleet.Network, fleet.Network) error { return boom })
	wantKind(t, err, fleet.ErrRefused)
	wantKind(t, s.DeleteNetwork(system(t), n.ID, func(context.Context, fleet.Network) error { return boom }), fleet.ErrRefused)
	if list, err := s.Networks(system(t)); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], n) {
		t.Errorf("networks are %+v, %v; want only %+v", list, err, n)
	}
	if got := eventTypes(t, s, fleet.EventFilter{Environment: "staging"}); len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestUpdateNetwork(t *testing.T) {
	s, _ := open(t)
	n := createNetwork(t, s, "staging", "app")
	calls := 0
	apply := func(_ context.Context, before, after fleet.Network) error {
		calls++
		if before.Subnet != "" || after.Subnet != "10.1.0.0/24" || before.ID != after.ID {
			return errors.New("wrong networks")
		}
		return nil
	}
	got, err := s.UpdateNetwork(system(t), n.ID, func(n *fleet.Network) error {
		n.Subnet, n.Gateway, n.Name = "10.1.0.0/24", "10.1.0.1", "renamed"
		return nil
	}, apply)
	if err != nil || got.Subnet != "10.1.0.0/24" || got.Gateway != "10.1.0.1" || got.Name != "app" {
		t.Errorf("updated to %+v, %v", got, err)
	}
	if same, err := s.UpdateNetwork(system(t), n.ID, func(*fleet.Network) error { return nil }, apply); err != nil || !reflect.DeepEqual(same, got) {
		t.Errorf("an update of nothing returned %+v, %v", same, err)
	}
	if calls != 1 {
		t.Errorf("the engine was called %d times", calls)
	}
	_, err = s.UpdateNetwork(system(t), n.ID, func(n *fleet.Network) error { n.Subnet = "nonsense"; return nil }, apply)
	wantField(t, err, fleet.ErrInvalid, "subnet")
}

// TestNetworkInUse: a network cannot go while a deployed definition joins it, nor
// can a deployment join one that is gone.
func TestNetworkInUse(t *testing.T) {
	s, _ := open(t)
	n := createNetwork(t, s, "staging", "app")
	other := createNetwork(t, s, "production", "app")
	joins := spec("api")
	joins.Network.InternalNetworks = []string{"app"}
	d, err := s.CreateDefinition(system(t), fleet.Definition{Spec: joins}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.CreateDeployment(system(t), deploymentOf(d, "development"))
	wantField(t, err, fleet.ErrInvalid, "environment")
	first := deployed(t, s, d, "staging")
	wantKind(t, s.DeleteNetwork(system(t), n.ID, applied), fleet.ErrInUse)
	completed(t, s, first.ID)
	wantKind(t, s.DeleteNetwork(system(t), n.ID, applied), fleet.ErrInUse)
	if err := s.DeleteNetwork(system(t), other.ID, applied); err != nil {
		t.Errorf("delete the namesake of another environment: %v", err)
	}
	removal := deploymentOf(d, "staging")
	removal.Removal = true
	removed, err := s.CreateDeployment(system(t), removal)
	if err != nil {
		t.Fatal(err)
	}
	completed(t, s, removed.ID)
	if err := s.DeleteNetwork(system(t), n.ID, applied); err != nil {
		t.Error(err)
	}
}
