package postgres

import (
	"context"
	"net/netip"
	"reflect"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// CreateNetwork implements deploy.Store.
func (s *Store) CreateNetwork(ctx context.Context, n fleet.Network, apply func(context.Context, fleet.Network) error) (fleet.Network, error) {
	id, replayed, err := s.mutate(ctx, "create network", func(t *transaction) (string, error) {
		if err := t.insertNetwork(ctx, &n); err != nil {
			return "", err
		}
		return n.ID, apply(ctx, n)
	})
	if err != nil || !replayed {
		return n, err
	}
	return s.anyNetwork(ctx, id)
}

func (t *transaction) insertNetwork(ctx context.Context, n *fleet.Network) error {
	id, err := newID()
	if err != nil {
		return err
	}
	subnet, gateway, err := addressColumns(*n)
	if err != nil {
		return err
	}
	row, err := t.InsertNetwork(ctx, dbsqlc.InsertNetworkParams{
		ID: id, NetworkName: n.Name, NetworkType: n.Type, Environment: n.Environment,
		Subnet: subnet, Gateway: gateway, DnsConfig: n.DNS, NetworkConfig: n.Settings,
	})
	if err != nil {
		return err
	}
	*n = network(row)
	return t.record(ctx, networkEvent(*n, fleet.EventNetworkCreated))
}

// Network implements httpapi.Store and deploy.Store.
func (s *Store) Network(ctx context.Context, id string) (fleet.Network, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Network{}, err
	}
	row, err := q.GetActiveNetwork(ctx, id)
	return network(row), missing("network", id, err)
}

// anyNetwork reads a network whether it is active or not.
func (s *Store) anyNetwork(ctx context.Context, id string) (fleet.Network, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Network{}, err
	}
	row, err := q.GetNetwork(ctx, id)
	return network(row), missing("network", id, err)
}

// Networks implements deploy.Store.
func (s *Store) Networks(ctx context.Context) ([]fleet.Network, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.ActiveNetworks(ctx)
	return convertAll(rows, network), translate("list networks", err)
}

// ListNetworks implements httpapi.Store: by name.
func (s *Store) ListNetworks(ctx context.Context, f fleet.NetworkFilter, p fleet.Page) (fleet.Result[fleet.Network], error) {
	var none fleet.Result[fleet.Network]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountNetworksParams{Environment: nullable(f.Environment), Name: nullable(f.Name)}
	rows := dbsqlc.ListNetworksParams{
		Environment: count.Environment, Name: count.Name,
		AfterID: page.after, AfterName: page.afterName, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list networks",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountNetworks(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.ContainerNetwork, error) { return q.ListNetworks(ctx, rows) })
	if err != nil {
		return none, err
	}
	return resultOf(page, found, total, network, func(n fleet.Network) cursor { return cursor{Name: n.Name, ID: n.ID} }), nil
}

// UpdateNetwork implements deploy.Store. Name and environment are the network's
// identity and stay as they are.
func (s *Store) UpdateNetwork(ctx context.Context, id string, change func(*fleet.Network) error, apply func(ctx context.Context, before, after fleet.Network) error) (fleet.Network, error) {
	var after fleet.Network
	_, replayed, err := s.mutate(ctx, "update network", func(t *transaction) (string, error) {
		row, err := t.LockNetwork(ctx, id)
		if err != nil {
			return "", missing("network", id, err)
		}
		before := network(row)
		after = before
		if err := change(&after); err != nil {
			return "", err
		}
		if reflect.DeepEqual(before, after) {
			return id, nil
		}
		if err := t.replaceNetwork(ctx, &after); err != nil {
			return "", err
		}
		return id, apply(ctx, before, after)
	})
	if err != nil || !replayed {
		return after, err
	}
	return s.anyNetwork(ctx, id)
}

func (t *transaction) replaceNetwork(ctx context.Context, n *fleet.Network) error {
	subnet, gateway, err := addressColumns(*n)
	if err != nil {
		return err
	}
	row, err := t.UpdateNetwork(ctx, dbsqlc.UpdateNetworkParams{
		ID: n.ID, NetworkType: n.Type, Subnet: subnet, Gateway: gateway, DnsConfig: n.DNS, NetworkConfig: n.Settings,
	})
	if err != nil {
		return err
	}
	*n = network(row)
	return t.record(ctx, networkEvent(*n, fleet.EventNetworkUpdated))
}

// DeleteNetwork implements deploy.Store.
func (s *Store) DeleteNetwork(ctx context.Context, id string, apply func(context.Context, fleet.Network) error) error {
	_, _, err := s.mutate(ctx, "delete network", func(t *transaction) (string, error) {
		row, err := t.LockNetwork(ctx, id)
		if err != nil {
			return "", missing("network", id, err)
		}
		use, err := t.NetworkUse(ctx, dbsqlc.NetworkUseParams{Environment: row.Environment, NetworkName: row.NetworkName})
		if err != nil {
			return "", err
		}
		if len(use) > 0 {
			return "", fleet.Errorf(fleet.ErrInUse, "network %q of %s is joined by deployed definitions: %s; remove their deployments first",
				row.NetworkName, row.Environment, strings.Join(use, ", "))
		}
		if err := t.DeactivateNetwork(ctx, id); err != nil {
			return "", err
		}
		n := network(row)
		if err := t.record(ctx, networkEvent(n, fleet.EventNetworkDeleted)); err != nil {
			return "", err
		}
		return id, apply(ctx, n)
	})
	return err
}

func networkEvent(n fleet.Network, kind string) fleet.Event {
	return fleet.Event{
		NetworkID: n.ID, Environment: n.Environment, Type: kind,
		Data: map[string]any{"network_name": n.Name, "network_type": string(n.Type)},
	}
}

func addressColumns(n fleet.Network) (subnet *netip.Prefix, gateway *netip.Addr, err error) {
	if n.Subnet != "" {
		p, err := netip.ParsePrefix(n.Subnet)
		if err != nil {
			return nil, nil, fleet.FieldErrorf(fleet.ErrInvalid, "subnet", "%q is not a subnet in CIDR form, such as 10.20.0.0/24", n.Subnet)
		}
		subnet = &p
	}
	if n.Gateway != "" {
		a, err := netip.ParseAddr(n.Gateway)
		if err != nil {
			return nil, nil, fleet.FieldErrorf(fleet.ErrInvalid, "gateway", "%q is not an IP address, such as 10.20.0.1", n.Gateway)
		}
		gateway = &a
	}
	return subnet, gateway, nil
}

func network(r dbsqlc.ContainerNetwork) fleet.Network {
	n := fleet.Network{
		ID: r.ID, Name: r.NetworkName, Type: r.NetworkType, Environment: r.Environment,
		DNS: r.DnsConfig, Settings: r.NetworkConfig, IsActive: r.IsActive, CreatedAt: r.CreatedAt,
	}
	if r.Subnet != nil {
		n.Subnet = r.Subnet.String()
	}
	if r.Gateway != nil {
		n.Gateway = r.Gateway.String()
	}
	return n
}
