package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// blockedFor is how long a host port that a foreign process was found to hold is left alone.
const blockedFor = 10 * time.Minute

// freePorts locks the leases until the transaction ends and picks n host ports
// that nobody has; ErrPortTaken when fewer are left.
func (t *transaction) freePorts(ctx context.Context, s *Store, n int) ([]int, error) {
	if n == 0 {
		return nil, nil
	}
	if err := t.LockPorts(ctx); err != nil {
		return nil, err
	}
	if err := t.ForgetBlockedPorts(ctx); err != nil {
		return nil, err
	}
	ports, err := t.FreePorts(ctx, dbsqlc.FreePortsParams{First: s.portMin, Last: s.portMax, MaxRows: n})
	if err != nil {
		return nil, err
	}
	if len(ports) < n {
		return nil, fleet.Errorf(fleet.ErrPortTaken, "only %d host ports of %d-%d are free, but %d are needed; widen the range or remove instances",
			len(ports), s.portMin, s.portMax, n)
	}
	return ports, nil
}

// unleased counts the container ports that still need a host port.
func unleased(instances []fleet.Instance) int {
	n := 0
	for _, i := range instances {
		for _, host := range i.Ports {
			if host == 0 {
				n++
			}
		}
	}
	return n
}

// assign gives each container port without a host port the next of free, and
// returns the leases of all.
func assign(instances []fleet.Instance, free []int) []dbsqlc.LeasePortParams {
	var leases []dbsqlc.LeasePortParams
	for n, i := range instances {
		ports := maps.Clone(i.Ports)
		for _, container := range slices.Sorted(maps.Keys(ports)) {
			if ports[container] == 0 {
				ports[container], free = free[0], free[1:]
			}
			leases = append(leases, dbsqlc.LeasePortParams{Port: ports[container], InstanceID: &i.ID, ContainerPort: &container})
		}
		instances[n].Ports = ports
	}
	return leases
}

func (t *transaction) lease(ctx context.Context, leases []dbsqlc.LeasePortParams) error {
	if len(leases) == 0 {
		return nil
	}
	var failed error
	t.LeasePort(ctx, leases).Exec(func(_ int, err error) {
		if failed == nil {
			failed = err
		}
	})
	return failed
}

// ReleasePort implements deploy.Store.
func (s *Store) ReleasePort(ctx context.Context, instanceID string, containerPort int) (hostPort int, err error) {
	err = s.write(ctx, "change host port", func(t *transaction) error {
		row, err := t.LockInstance(ctx, instanceID)
		if err != nil {
			return missing("instance", instanceID, err)
		}
		free, err := t.freePorts(ctx, s, 1)
		if err != nil {
			return err
		}
		blocked, err := t.BlockPort(ctx, dbsqlc.BlockPortParams{
			Until: time.Now().Add(blockedFor), InstanceID: instanceID, ContainerPort: containerPort,
		})
		if err != nil {
			return err
		}
		if blocked == 0 {
			return fleet.Errorf(fleet.ErrNotFound, "instance %s has no host port for container port %d", instanceID, containerPort)
		}
		hostPort = free[0]
		err = t.lease(ctx, []dbsqlc.LeasePortParams{{Port: hostPort, InstanceID: &instanceID, ContainerPort: &containerPort}})
		if err != nil {
			return err
		}
		i := instance(row.ContainerInstance, row.DefinitionName, row.ServiceName)
		i.Ports = maps.Clone(i.Ports)
		i.Ports[containerPort] = hostPort
		return t.updateInstance(ctx, i)
	})
	return hostPort, err
}
