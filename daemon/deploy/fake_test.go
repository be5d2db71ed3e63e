package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// memory is a deploy.Store without a database, for faults that are told to the
// engine. Its methods do what the contracts say and no more.
type memory struct {
	mu          sync.Mutex
	definition  fleet.Definition
	networks    []fleet.Network
	deployments map[string]fleet.Deployment
	instances   []fleet.Instance
	target      string
	live        string
	events      []fleet.Event
	ports       int // the next host port
	lastPort    int
	down        bool
	limits      fleet.Resources // what a vertical policy has set
}

// freePort is the next host port, ErrPortTaken when none is left.
func (m *memory) freePort() (int, error) {
	if m.ports > m.lastPort {
		return 0, fleet.Errorf(fleet.ErrPortTaken, "no host ports are left")
	}
	m.ports++
	return m.ports - 1, nil
}

var theWorkload = fleet.Workload{DefinitionID: "definition", Environment: "staging"}

func newMemory(spec fleet.Spec) *memory {
	return &memory{
		definition:  fleet.Definition{ID: theWorkload.DefinitionID, Spec: spec, Revision: 1, IsActive: true},
		deployments: make(map[string]fleet.Deployment),
		ports:       20000, lastPort: 29999,
	}
}

func (m *memory) lock() (func(), error) {
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return nil, fleet.ErrUnavailable
	}
	return m.mu.Unlock, nil
}

// grant sets what each replica may use.
func (m *memory) grant(r fleet.Resources) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limits = r
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// setHealth is what the monitor does.
func (m *memory) setHealth(id string, h fleet.Health) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.instances {
		if m.instances[k].ID == id {
			m.instances[k].Health, m.instances[k].UnhealthySince, m.instances[k].LastCheck = h, nil, new(time.Now())
			if h == fleet.HealthUnhealthy {
				m.instances[k].UnhealthySince = new(time.Now())
			}
		}
	}
}

func (m *memory) FindReplay(context.Context) (string, bool, error) { return "", false, nil }

func (m *memory) Definition(context.Context, string) (fleet.Definition, error) {
	return m.definition, nil
}

func (m *memory) RegistryCredentials(context.Context, string) (*fleet.RegistryCredentials, error) {
	return nil, nil
}

func (m *memory) CreateDeployment(_ context.Context, d fleet.Deployment) (fleet.Deployment, error) {
	unlock, err := m.lock()
	if err != nil {
		return d, err
	}
	defer unlock()
	d.ID = fmt.Sprintf("deployment-%d", len(m.deployments)+1)
	d.StartedAt = time.Now()
	m.begin(d)
	return d, nil
}

// begin makes a deployment the target in the place of what is in progress.
func (m *memory) begin(d fleet.Deployment) {
	for id, old := range m.deployments {
		if old.Status == fleet.DeploymentInProgress {
			d.Supersede(old, m.live)
			old.Status, old.SupersededByID = fleet.DeploymentFailed, d.ID
			m.deployments[id] = old
		}
	}
	if of, ok := m.deployments[d.RollbackOfID]; ok {
		of.RollbackID = d.ID
		m.deployments[of.ID] = of
	}
	d.Before = m.deployments[m.live].After
	m.deployments[d.ID] = d
	m.target = d.ID
}

func (m *memory) SteerDeployment(ctx context.Context, id string, change func(*fleet.Deployment) ([]fleet.Event, error), rollback *fleet.Deployment) (fleet.Deployment, error) {
	if _, err := m.UpdateDeployment(ctx, id, change); err != nil {
		return fleet.Deployment{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if rollback != nil {
		next := *rollback
		next.ID, next.RollbackOfID, next.StartedAt = fmt.Sprintf("deployment-%d", len(m.deployments)+1), id, time.Now()
		m.begin(next)
	}
	return m.deployments[id], nil
}

func (m *memory) StableBefore(_ context.Context, d fleet.Deployment) (fleet.Deployment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := len(m.deployments); n > 0; n-- {
		id := fmt.Sprintf("deployment-%d", n)
		if found := m.deployments[id]; id < d.ID && found.Status == fleet.DeploymentCompleted && !found.Removal {
			return found, nil
		}
	}
	return fleet.Deployment{}, fleet.ErrNotFound
}

func (m *memory) Deployment(_ context.Context, id string) (fleet.Deployment, error) {
	unlock, err := m.lock()
	if err != nil {
		return fleet.Deployment{}, err
	}
	defer unlock()
	return m.deployments[id], nil
}

func (m *memory) UpdateDeployment(_ context.Context, id string, change func(*fleet.Deployment) ([]fleet.Event, error)) (fleet.Deployment, error) {
	unlock, err := m.lock()
	if err != nil {
		return fleet.Deployment{}, err
	}
	defer unlock()
	d := m.deployments[id]
	if d.Status != fleet.DeploymentInProgress {
		return d, fleet.ErrConflict
	}
	events, err := change(&d)
	if err != nil {
		return d, err
	}
	m.deployments[id] = d
	m.events = append(m.events, events...)
	switch {
	case d.Status == fleet.DeploymentCompleted && d.Removal:
		m.live, m.target = "", ""
	case d.Status == fleet.DeploymentCompleted:
		m.live = id
		if undone, ok := m.deployments[d.RollbackOfID]; ok {
			undone.Status = fleet.DeploymentRolledBack
			m.deployments[undone.ID] = undone
		}
	case d.Status != fleet.DeploymentInProgress:
		m.target = m.live
	}
	return d, nil
}

func (m *memory) Instance(_ context.Context, id string) (fleet.Instance, error) {
	unlock, err := m.lock()
	if err != nil {
		return fleet.Instance{}, err
	}
	defer unlock()
	if k := m.index(id); k >= 0 {
		return m.instances[k], nil
	}
	return fleet.Instance{}, fleet.ErrNotFound
}

func (m *memory) index(id string) int {
	return slices.IndexFunc(m.instances, func(i fleet.Instance) bool { return i.ID == id })
}

func (m *memory) AddInstances(_ context.Context, list []fleet.Instance) ([]fleet.Instance, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	for k := range list {
		list[k].CreatedAt = time.Now()
		for port := range list[k].Ports {
			if list[k].Ports[port], err = m.freePort(); err != nil {
				return nil, err
			}
		}
	}
	m.instances = append(m.instances, list...)
	return list, nil
}

func (m *memory) UpdateInstance(_ context.Context, id string, change func(*fleet.Instance) ([]fleet.Event, error)) (fleet.Instance, error) {
	unlock, err := m.lock()
	if err != nil {
		return fleet.Instance{}, err
	}
	defer unlock()
	k := m.index(id)
	if k < 0 {
		return fleet.Instance{}, fleet.ErrNotFound
	}
	i := m.instances[k]
	i.RecentExits = slices.Clone(i.RecentExits)
	events, err := change(&i)
	if err != nil {
		return i, err
	}
	m.instances[k] = i
	m.events = append(m.events, events...)
	return i, nil
}

func (m *memory) RequestAction(ctx context.Context, id string, change func(*fleet.Instance) ([]fleet.Event, error)) (fleet.Instance, error) {
	return m.UpdateInstance(ctx, id, change)
}

func (m *memory) ReleasePort(_ context.Context, instanceID string, containerPort int) (int, error) {
	unlock, err := m.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	port, err := m.freePort()
	if err != nil {
		return 0, err
	}
	k := m.index(instanceID)
	m.instances[k].Ports = maps.Clone(m.instances[k].Ports)
	m.instances[k].Ports[containerPort] = port
	return port, nil
}

func (m *memory) Workloads(context.Context) ([]fleet.Workload, error) {
	return []fleet.Workload{theWorkload}, nil
}

func (m *memory) LoadWorkload(_ context.Context, w fleet.Workload) (fleet.WorkloadState, error) {
	unlock, err := m.lock()
	if err != nil {
		return fleet.WorkloadState{}, err
	}
	defer unlock()
	s := fleet.WorkloadState{Workload: w, Limits: m.limits, Deployments: maps.Clone(m.deployments), Networks: make(map[string]fleet.Network)}
	if d, ok := m.deployments[m.target]; ok {
		s.Target = &d
	}
	if d, ok := m.deployments[m.live]; ok {
		s.Live = &d
	}
	for _, n := range m.networks {
		s.Networks[n.Name] = n
	}
	s.Instances = m.standing()
	for k := range s.Instances { // nobody follows the registry here
		s.Instances[k].Drained = s.Instances[k].DrainingSince != nil
	}
	return s, nil
}

// standing are the instances that are not terminated.
func (m *memory) standing() []fleet.Instance {
	return slices.DeleteFunc(slices.Clone(m.instances), func(i fleet.Instance) bool { return i.Current == fleet.StatusTerminated })
}

func (m *memory) LiveInstances(context.Context) ([]fleet.Instance, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return m.standing(), nil
}

func (m *memory) Network(context.Context, string) (fleet.Network, error) {
	return fleet.Network{}, fleet.ErrNotFound
}

func (m *memory) Networks(context.Context) ([]fleet.Network, error) { return m.networks, nil }

func (m *memory) CreateNetwork(ctx context.Context, n fleet.Network, apply func(context.Context, fleet.Network) error) (fleet.Network, error) {
	return n, apply(ctx, n)
}

func (m *memory) UpdateNetwork(ctx context.Context, _ string, change func(*fleet.Network) error, apply func(ctx context.Context, before, after fleet.Network) error) (fleet.Network, error) {
	before := m.networks[0]
	after := before
	if err := change(&after); err != nil {
		return before, err
	}
	if err := apply(ctx, before, after); err != nil {
		return before, err
	}
	m.networks[0] = after
	return after, nil
}

func (m *memory) DeleteNetwork(ctx context.Context, _ string, apply func(context.Context, fleet.Network) error) error {
	return apply(ctx, m.networks[0])
}

// enginePretence is a deploy.Engine without containers. faults are told to it by
// the name of the call; each is given once for each time that it stands there.
type enginePretence struct {
	mu         sync.Mutex
	containers map[string]fleet.Container
	byName     map[string]string
	half       map[string]bool // containers that the engine has lost while it started them
	faults     map[string][]error
	events     chan fleet.ContainerEvent
	calls      []string
	networks   []string
	holds      map[string]chan struct{}
	limits     map[string]fleet.Resources
}

func newEngine() *enginePretence {
	return &enginePretence{
		containers: make(map[string]fleet.Container),
		byName:     make(map[string]string), half: make(map[string]bool),
		faults: make(map[string][]error),
		holds:  make(map[string]chan struct{}),
		limits: make(map[string]fleet.Resources),
		events: make(chan fleet.ContainerEvent, 1000),
	}
}

// begin notes a call and returns the fault that was told for it.
func (e *enginePretence) begin(call, about string) error {
	e.calls = append(e.calls, call+" "+about)
	if list := e.faults[call]; len(list) > 0 {
		e.faults[call] = list[1:]
		return list[0]
	}
	return nil
}

func (e *enginePretence) fail(call string, errs ...error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults[call] = append(e.faults[call], errs...)
}

// hold makes calls of a kind take until the channel is closed.
func (e *enginePretence) hold(call string) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holds[call] = make(chan struct{})
	return e.holds[call]
}

// release ends a hold, if there is one.
func (e *enginePretence) release(call string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if hold := e.holds[call]; hold != nil {
		close(hold)
		delete(e.holds, call)
	}
}

// wait waits where calls of a kind are held.
func (e *enginePretence) wait(ctx context.Context, call string) {
	e.mu.Lock()
	hold := e.holds[call]
	e.mu.Unlock()
	if hold == nil {
		return
	}
	select {
	case <-hold:
	case <-ctx.Done():
	}
}

// count is how often a call was made.
func (e *enginePretence) count(call string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.calls {
		if strings.HasPrefix(c, call+" ") {
			n++
		}
	}
	return n
}

// since lists the calls after the first n.
func (e *enginePretence) since(n int) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.calls[n:])
}

// exit ends a container from outside.
func (e *enginePretence) exit(id string, code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	c.State, c.ExitCode, c.FinishedAt = fleet.ContainerExited, code, time.Now()
	e.containers[id] = c
	e.report(c)
}

func (e *enginePretence) report(c fleet.Container) {
	e.events <- fleet.ContainerEvent{ContainerID: c.ID, InstanceID: c.InstanceID, Workload: theWorkload, State: c.State, At: time.Now()}
}

func (e *enginePretence) ids() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.containers))
}

func (e *enginePretence) ResolveImage(_ context.Context, reference, _ string, _ *fleet.RegistryCredentials) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return "sha256:" + reference, e.begin("resolve", reference)
}

func (e *enginePretence) EnsureImage(ctx context.Context, digest string, _ *fleet.RegistryCredentials) error {
	e.wait(ctx, "pull")
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.begin("pull", digest)
}

// EnsureContainer with a fault still creates the container when the fault is errLost.
func (e *enginePretence) EnsureContainer(_ context.Context, s fleet.ContainerSpec) (string, []string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.begin("create", s.Instance.Name)
	if id, ok := e.byName[s.Instance.Name]; ok && err == nil {
		return id, nil, nil
	}
	if err != nil && !errors.Is(err, errLost) {
		return "", nil, err
	}
	id := fmt.Sprintf("container-%d", len(e.calls))
	e.byName[s.Instance.Name] = id
	e.containers[id] = fleet.Container{ID: id, Name: s.Instance.Name, InstanceID: s.Instance.ID, State: fleet.ContainerCreated, Ports: s.Instance.Ports, Epoch: s.Epoch}
	return id, nil, err
}

func (e *enginePretence) StartContainer(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.begin("start", id)
	if errors.Is(err, errHalf) {
		e.half[id] = true
		err = nil
	}
	if err != nil || e.half[id] {
		return err
	}
	c, ok := e.containers[id]
	if !ok {
		return fleet.ErrNotFound
	}
	c.State, c.StartedAt, c.IPAddress = fleet.ContainerRunning, time.Now(), "172.20.0.2"
	e.containers[id] = c
	e.report(c)
	return nil
}

func (e *enginePretence) ResizeContainer(_ context.Context, id string, r fleet.Resources) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin("resize", id); err != nil {
		return err
	}
	e.limits[id] = r
	return nil
}

func (e *enginePretence) StopContainer(ctx context.Context, id string, _ int, _ bool) error {
	e.wait(ctx, "stop")
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin("stop", id); err != nil {
		return err
	}
	if c, ok := e.containers[id]; ok && c.State == fleet.ContainerRunning {
		c.State, c.FinishedAt = fleet.ContainerExited, time.Now()
		e.containers[id] = c
		e.report(c)
	}
	return nil
}

func (e *enginePretence) RemoveContainer(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin("remove", id); err != nil {
		return err
	}
	if byName, ok := e.byName[id]; ok {
		id = byName
	}
	c, ok := e.containers[id]
	if ok {
		delete(e.containers, id)
		delete(e.byName, c.Name)
		c.State = fleet.ContainerGone
		e.report(c)
	}
	return nil
}

func (e *enginePretence) InspectContainer(_ context.Context, id string) (fleet.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin("inspect", id); err != nil {
		return fleet.Container{}, err
	}
	if c, ok := e.containers[id]; ok {
		return c, nil
	}
	return fleet.Container{ID: id, State: fleet.ContainerGone}, nil
}

func (e *enginePretence) ListContainers(context.Context) ([]fleet.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin("list", ""); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(e.containers)), nil
}

func (e *enginePretence) Events(ctx context.Context) (<-chan fleet.ContainerEvent, <-chan error) {
	lost := make(chan error, 1)
	go func() {
		<-ctx.Done()
		lost <- ctx.Err()
	}()
	return e.events, lost
}

func (e *enginePretence) LogTail(context.Context, string, int) ([]fleet.LogLine, error) {
	return []fleet.LogLine{{Source: "stderr", Message: "panic: no database"}}, nil
}

func (e *enginePretence) Node(context.Context) (string, error) { return "node-1", nil }

func (e *enginePretence) EnsureNetwork(_ context.Context, n fleet.Network) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin("network", n.Name+" "+n.Subnet); err != nil {
		return err
	}
	e.networks = append(e.networks, n.Name+" "+n.Subnet)
	return nil
}

func (e *enginePretence) RemoveNetwork(_ context.Context, n fleet.Network) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin("remove-network", n.Name); err != nil {
		return err
	}
	e.networks = slices.DeleteFunc(e.networks, func(name string) bool { return name == n.Name+" "+n.Subnet })
	return nil
}

func (e *enginePretence) RemoveStrayNetworks(context.Context, []fleet.Network) error { return nil }
