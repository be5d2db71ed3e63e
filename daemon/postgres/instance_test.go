package postgres_test

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
)

func deploymentIn(t *testing.T, s *postgres.Store, environment string) fleet.Deployment {
	t.Helper()
	return deployed(t, s, createDefinition(t, s, "api"), environment)
}

func change(f func(*fleet.Instance)) func(*fleet.Instance) ([]fleet.Event, error) {
	return func(i *fleet.Instance) ([]fleet.Event, error) { f(i); return nil, nil }
}

func TestInstanceRoundTrip(t *testing.T) {
	s, _ := open(t)
	i := added(t, s, newInstance(deploymentIn(t, s, "staging"), 1))[0]
	if i.DefinitionName != "api" || i.ServiceName != "api" || i.Current != fleet.StatusPending || i.CreatedAt.IsZero() {
		t.Errorf("added %+v", i)
	}
	want := i
	want.ContainerID, want.Current, want.Node, want.IPAddress = "c1", fleet.StatusRunning, "node-1", "172.18.0.2"
	want.Usage = fleet.Usage{CPUPercent: 45.2, MemoryMB: 512, DiskMB: 1024}
	want.Health = fleet.HealthHealthy
	want.Checks = []fleet.HealthResult{{Timestamp: testTime, Status: fleet.HealthHealthy, ResponseTime: 1.5, Details: "200"}}
	want.LastCheck, want.RestartRequested, want.StartedAt, want.StoppedAt = new(testTime), new(testTime), new(testTime), new(testTime)
	want.Restarts, want.RecentExits, want.ExitCode, want.Error, want.Force = 3, []time.Time{testTime}, new(137), "out of memory", true
	want.HealthySince, want.SettledAt, want.DrainingSince = new(testTime), new(testTime), new(testTime)
	got, err := s.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) { *i = want }))
	if err != nil {
		t.Fatal(err)
	}
	want.UpdatedAt = got.UpdatedAt
	if !reflect.DeepEqual(got, want) {
		t.Errorf("updated to\n%+v, want\n%+v", got, want)
	}
	if read, err := s.Instance(system(t), i.ID); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, %v", read, err)
	}
	if list, err := s.LiveInstances(system(t)); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestUpdateInstanceWritesChangesOnly(t *testing.T) {
	s, _ := open(t)
	i := added(t, s, newInstance(deploymentIn(t, s, "staging"), 1))[0]
	fine := testTime.Add(789 * time.Nanosecond).In(time.FixedZone("x", 3600))
	set := change(func(i *fleet.Instance) { i.StartedAt, i.RecentExits = &fine, []time.Time{fine} })
	first, err := s.UpdateInstance(system(t), i.ID, set)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*fleet.Instance) ([]fleet.Event, error){
		"nothing":                  change(func(*fleet.Instance) {}),
		"same with finer times":    set,
		"empty rather than absent": change(func(i *fleet.Instance) { i.Ports, i.Checks = map[int]int{}, []fleet.HealthResult{} }),
	} {
		again, err := s.UpdateInstance(system(t), i.ID, f)
		if err != nil || !again.UpdatedAt.Equal(first.UpdatedAt) {
			t.Errorf("%s: updated at %v, %v; want %v as before", name, again.UpdatedAt, err, first.UpdatedAt)
		}
	}
	boom := errors.New("boom")
	_, err = s.UpdateInstance(system(t), i.ID, func(i *fleet.Instance) ([]fleet.Event, error) {
		i.RecentExits[0] = time.Time{}
		i.Error = "half done"
		return []fleet.Event{{InstanceID: i.ID, Environment: i.Environment, Type: fleet.EventFailed}}, boom
	})
	wantKind(t, err, boom)
	if read, err := s.Instance(system(t), i.ID); err != nil || !reflect.DeepEqual(read, first) {
		t.Errorf("a change that failed left %+v, %v", read, err)
	}
	_, err = s.UpdateInstance(system(t), definitionID, change(func(*fleet.Instance) {}))
	wantKind(t, err, fleet.ErrNotFound)
}

func TestAddInstancesTwice(t *testing.T) {
	s, _ := open(t)
	d := deploymentIn(t, s, "staging")
	a, b := newInstance(d, 1), newInstance(d, 2)
	a.Ports, b.Ports = map[int]int{8080: 0, 9090: 0}, map[int]int{8080: 0}
	first := added(t, s, a)
	if first[0].Ports[8080] != 20000 || first[0].Ports[9090] != 20001 {
		t.Errorf("ports are %v", first[0].Ports)
	}
	second := added(t, s, b, a)
	if second[0].ID != b.ID || second[0].Ports[8080] != 20002 || !reflect.DeepEqual(second[1], first[0]) {
		t.Errorf("added %+v", second)
	}
	if got := eventTypes(t, s, fleet.EventFilter{InstanceID: a.ID}); !slices.Equal(got, []string{fleet.EventCreated}) {
		t.Errorf("events are %v", got)
	}
	if a.Ports[8080] != 0 {
		t.Error("the caller's instance was changed")
	}
}

// TestHostPorts: no two living instances have one, and it comes back at the end.
func TestHostPorts(t *testing.T) {
	s, _ := open(t) // has ten
	d := deploymentIn(t, s, "staging")
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			i := newInstance(d, n+1)
			i.Ports = map[int]int{8080: 0}
			if _, err := s.AddInstances(system(t), []fleet.Instance{i}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	live, err := s.LiveInstances(system(t))
	if err != nil {
		t.Fatal(err)
	}
	used := map[int]bool{}
	for _, i := range live {
		used[i.Ports[8080]] = true
	}
	if len(used) != 8 {
		t.Fatalf("8 instances have the ports %v", used)
	}
	port, err := s.ReleasePort(system(t), live[0].ID, 8080)
	if err != nil || used[port] {
		t.Fatalf("another port is %d, %v; %v are in use", port, err, used)
	}
	if read, err := s.Instance(system(t), live[0].ID); err != nil || read.Ports[8080] != port {
		t.Errorf("ports are %v, %v", read.Ports, err)
	}
	_, err = s.ReleasePort(system(t), live[0].ID, 1)
	wantKind(t, err, fleet.ErrNotFound)
	// Eight leases and a blocked port leave one.
	two := newInstance(d, 9)
	two.Ports = map[int]int{1: 0, 2: 0}
	_, err = s.AddInstances(system(t), []fleet.Instance{two})
	wantKind(t, err, fleet.ErrPortTaken)
	if _, err := s.UpdateInstance(system(t), live[1].ID, change(func(i *fleet.Instance) { i.Current = fleet.StatusTerminated })); err != nil {
		t.Fatal(err)
	}
	if got := added(t, s, two)[0]; len(got.Ports) != 2 || got.Ports[1] == 0 || got.Ports[2] == 0 {
		t.Errorf("ports are %v", got.Ports)
	}
}

func TestBlockedPortComesBack(t *testing.T) {
	s, db := open(t)
	i := newInstance(deploymentIn(t, s, "staging"), 1)
	i.Ports = map[int]int{8080: 0}
	added(t, s, i)
	for range 9 {
		if _, err := s.ReleasePort(system(t), i.ID, 8080); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.ReleasePort(system(t), i.ID, 8080)
	wantKind(t, err, fleet.ErrPortTaken)
	exec(t, connect(t, db.OwnerURL), `UPDATE host_port_leases SET blocked_until = now() - interval '1 second' WHERE port = 20003`)
	if port, err := s.ReleasePort(system(t), i.ID, 8080); err != nil || port != 20003 {
		t.Errorf("got port %d, %v; want the one whose time is over", port, err)
	}
}

func TestRequestAction(t *testing.T) {
	s, _ := open(t)
	i := added(t, s, newInstance(deploymentIn(t, s, "staging"), 1))[0]
	ctx := keyed(as(t, s, devops, "staging"), "k1", "stop")
	calls := 0
	stop := func(i *fleet.Instance) ([]fleet.Event, error) {
		calls++
		i.Desired = fleet.StatusStopped
		return []fleet.Event{{InstanceID: i.ID, DefinitionID: i.DefinitionID, Environment: i.Environment, Type: fleet.EventActionRequested}}, nil
	}
	for range 3 {
		got, err := s.RequestAction(ctx, i.ID, stop)
		if err != nil || got.Desired != fleet.StatusStopped {
			t.Fatalf("requested %+v, %v", got, err)
		}
	}
	if calls != 1 {
		t.Errorf("done %d times", calls)
	}
	want := []string{fleet.EventActionRequested, fleet.EventCreated}
	if got := eventTypes(t, s, fleet.EventFilter{InstanceID: i.ID}); !slices.Equal(got, want) {
		t.Errorf("events are %v, want %v", got, want)
	}
	_, err := s.RequestAction(as(t, s, devops, "production"), i.ID, stop)
	wantKind(t, err, fleet.ErrNotFound)
}

func TestListInstances(t *testing.T) {
	s, _ := open(t)
	api, web := createDefinition(t, s, "api"), createDefinition(t, s, "web")
	da, dw := deployed(t, s, api, "staging"), deployed(t, s, web, "production")
	a, b := added(t, s, newInstance(da, 1))[0], added(t, s, newInstance(dw, 1))[0]
	c := added(t, s, newInstance(da, 2))[0]
	if _, err := s.UpdateInstance(system(t), c.ID, change(func(i *fleet.Instance) { i.Current = fleet.StatusTerminated })); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		filter fleet.InstanceFilter
		want   []string
	}{
		"all that live": {fleet.InstanceFilter{}, []string{b.ID, a.ID}},
		"definition":    {fleet.InstanceFilter{DefinitionID: api.ID}, []string{a.ID}},
		"deployment":    {fleet.InstanceFilter{DeploymentID: dw.ID}, []string{b.ID}},
		"environment":   {fleet.InstanceFilter{Environment: "staging"}, []string{a.ID}},
		"service":       {fleet.InstanceFilter{ServiceName: "web"}, []string{b.ID}},
		"status":        {fleet.InstanceFilter{Status: fleet.StatusPending}, []string{b.ID, a.ID}},
		"terminated":    {fleet.InstanceFilter{Status: fleet.StatusTerminated}, []string{c.ID}},
		"none":          {fleet.InstanceFilter{Environment: "staging", ServiceName: "web"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := s.ListInstances(system(t), tt.filter, fleet.Page{})
			if err != nil {
				t.Fatal(err)
			}
			got := make([]string, len(r.Items))
			for n, i := range r.Items {
				got[n] = i.ID
			}
			if !slices.Equal(got, tt.want) || r.Total != len(tt.want) {
				t.Errorf("listed %v of %d, want %v", got, r.Total, tt.want)
			}
		})
	}
	all, err := s.DeploymentInstances(system(t), da.ID)
	if err != nil || len(all) != 2 || all[0].ID != a.ID || all[1].ID != c.ID {
		t.Errorf("the deployment's instances are %+v, %v", all, err)
	}
	_, err = s.DeploymentInstances(as(t, s, developer, "production"), da.ID)
	wantKind(t, err, fleet.ErrNotFound)
}

func TestHealth(t *testing.T) {
	s, _ := open(t)
	d := deploymentIn(t, s, "staging")
	unchecked := spec("web")
	unchecked.HealthCheck = nil
	web, err := s.CreateDefinition(system(t), fleet.Definition{Spec: unchecked}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := added(t, s, newInstance(d, 1), newInstance(d, 2), newInstance(d, 3), newInstance(deployed(t, s, web, "staging"), 1))
	for n, i := range rows {
		if _, err := s.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) {
			i.Current, i.StartedAt, i.ContainerID = fleet.StatusRunning, new(testTime), "c-"+i.ID
			if n != 2 {
				i.IPAddress = "172.18.0.2"
			}
		})); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.UpdateInstance(system(t), rows[1].ID, change(func(i *fleet.Instance) { i.Current = fleet.StatusStopped })); err != nil {
		t.Fatal(err)
	}
	targets, err := s.HealthTargets(system(t))
	first := fleet.HealthTarget{
		InstanceID: rows[0].ID, Workload: d.Workload(), ContainerID: "c-" + rows[0].ID, Address: "172.18.0.2", Port: 8081,
		Check: *d.Spec.HealthCheck, StartedAt: testTime, Health: fleet.HealthUnknown, Settling: 10 * time.Second,
	}
	isolated := first
	isolated.InstanceID, isolated.ContainerID, isolated.Address = rows[2].ID, "c-"+rows[2].ID, ""
	want := []fleet.HealthTarget{first, isolated}
	if err != nil || !reflect.DeepEqual(targets, want) {
		t.Errorf("targets are %+v, %v; want %+v", targets, err, want)
	}
	before, err := s.Instance(system(t), rows[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	result := fleet.HealthResult{Timestamp: testTime, Status: fleet.HealthUnhealthy, ResponseTime: 2.5, Details: "status 503"}
	update := fleet.HealthUpdate{InstanceID: rows[0].ID, StartedAt: testTime, Health: fleet.HealthUnhealthy, Changed: true, CheckedAt: new(testTime), Result: result, Recent: []fleet.HealthResult{result}}
	quiet := update
	quiet.Changed = false
	for _, updates := range [][]fleet.HealthUpdate{{update}, {quiet}, nil} {
		if err := s.RecordHealth(system(t), updates); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Instance(system(t), rows[0].ID)
	if err != nil || got.Health != fleet.HealthUnhealthy || !reflect.DeepEqual(got.Checks, update.Recent) || !got.LastCheck.Equal(testTime) {
		t.Errorf("recorded %+v, %v", got, err)
	}
	if !got.UpdatedAt.After(before.UpdatedAt) {
		t.Error("a verdict that changed did not change the row")
	}
	r, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventHealthCheck}, fleet.Page{})
	if err != nil || len(r.Items) != 1 || r.Items[0].Error != "status 503" || r.Items[0].Source != fleet.SourceHealthMonitor || r.Items[0].InstanceID != rows[0].ID {
		t.Errorf("events are %+v, %v", r.Items, err)
	}
}

// checkedInstance is a running instance, in a run that began at testTime.
func checkedInstance(t *testing.T, s *postgres.Store) fleet.Instance {
	t.Helper()
	return running(t, s, added(t, s, newInstance(deploymentIn(t, s, "staging"), 1))[0].ID, testTime)
}

func running(t *testing.T, s *postgres.Store, id string, since time.Time) fleet.Instance {
	t.Helper()
	i, err := s.UpdateInstance(system(t), id, change(func(i *fleet.Instance) {
		i.Current, i.StartedAt, i.IPAddress = fleet.StatusRunning, &since, "172.18.0.2"
		i.Health, i.HealthySince = fleet.HealthUnknown, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// passed is the update of a check that changed the verdict of a run to healthy.
func passed(i fleet.Instance, at time.Time) fleet.HealthUpdate {
	return fleet.HealthUpdate{
		InstanceID: i.ID, StartedAt: *i.StartedAt, Health: fleet.HealthHealthy, Changed: true, HealthySince: &at,
		CheckedAt: &at, Result: fleet.HealthResult{Timestamp: at, Status: fleet.HealthHealthy},
	}
}

// TestHealthStreak: what is written of a streak comes back with the next daemon's targets.
func TestHealthStreak(t *testing.T) {
	s, _ := open(t)
	i := checkedInstance(t, s)
	first := passed(i, testTime.Add(1234567*time.Nanosecond)) // finer than columns are
	broken := first
	broken.Changed, broken.HealthySince, broken.Result.Timestamp = false, nil, testTime.Add(time.Minute)
	broken.CheckedAt = new(broken.Result.Timestamp)
	for _, tt := range []struct {
		name   string
		update fleet.HealthUpdate
	}{{"a streak", first}, {"no streak", broken}} {
		u := tt.update
		if err := s.RecordHealth(system(t), []fleet.HealthUpdate{u}); err != nil {
			t.Fatal(err)
		}
		var want *time.Time
		if u.HealthySince != nil {
			want = new(u.HealthySince.Round(time.Microsecond))
		}
		read, err := s.Instance(system(t), i.ID)
		if err != nil || read.Health != fleet.HealthHealthy || !reflect.DeepEqual(read.HealthySince, want) {
			t.Errorf("%s: %s since %v, %v; want %v", tt.name, read.Health, read.HealthySince, err, want)
		}
		targets, err := s.HealthTargets(system(t))
		if err != nil || len(targets) != 1 || !reflect.DeepEqual(targets[0].HealthySince, want) ||
			!targets[0].CheckedAt.Equal(u.Result.Timestamp.Round(time.Microsecond)) {
			t.Errorf("%s: targets are %+v, %v", tt.name, targets, err)
		}
	}
}

// TestHealthThatIsBroken: rules that cannot be read are a fault of their instance alone,
// and a verdict that can never be written is told apart from a database that is away.
func TestHealthThatIsBroken(t *testing.T) {
	s, db := open(t)
	whole := checkedInstance(t, s)
	broken := running(t, s, added(t, s, newInstance(deployed(t, s, createDefinition(t, s, "broken"), "staging"), 1))[0].ID, testTime)
	exec(t, connect(t, db.OwnerURL), `UPDATE deployment_history SET config_snapshot = jsonb_set(config_snapshot, '{health_check_config,interval}', '"often"')
		WHERE id = $1`, broken.DeploymentID)
	targets, err := s.HealthTargets(system(t))
	if err != nil || len(targets) != 2 || targets[0].InstanceID != whole.ID || targets[0].Fault != nil || targets[1].Fault == nil {
		t.Errorf("targets %+v, %v; want a fault of the second one", targets, err)
	}
	u := passed(whole, testTime)
	u.Recent = []fleet.HealthResult{{Timestamp: testTime, Status: fleet.HealthHealthy, Details: "\x00"}}
	wantKind(t, s.RecordHealth(system(t), []fleet.HealthUpdate{u}), fleet.ErrInvalid)
}

// TestSettledAt: the column has when a run first settled, whatever comes of it later.
func TestSettledAt(t *testing.T) {
	s, _ := open(t)
	i := checkedInstance(t, s)
	settled := func(at *time.Time, health fleet.Health, seconds int) fleet.HealthUpdate {
		u := passed(i, testTime.Add(time.Duration(seconds)*time.Second))
		u.Health, u.SettledAt = health, at
		return u
	}
	first := new(testTime.Add(10 * time.Second))
	for _, tt := range []struct {
		name   string
		update fleet.HealthUpdate
		want   *time.Time
	}{
		{"not yet", settled(nil, fleet.HealthHealthy, 1), nil},
		{"settled", settled(first, fleet.HealthHealthy, 10), first},
		{"seen again", settled(new(testTime.Add(time.Minute)), fleet.HealthHealthy, 60), first},
		{"not seen by another daemon", settled(nil, fleet.HealthHealthy, 70), first},
		{"unhealthy", settled(nil, fleet.HealthUnhealthy, 80), first},
	} {
		if err := s.RecordHealth(system(t), []fleet.HealthUpdate{tt.update}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Instance(system(t), i.ID); err != nil || !reflect.DeepEqual(got.SettledAt, tt.want) {
			t.Errorf("%s: settled at %v, %v; want %v", tt.name, got.SettledAt, err, tt.want)
		}
	}
}

// TestUnhealthySince: the column has the first verdict of a run that holds, until it is over.
func TestUnhealthySince(t *testing.T) {
	s, _ := open(t)
	i := checkedInstance(t, s)
	condemned := func(at time.Time) fleet.HealthUpdate {
		u := passed(i, at)
		u.Health, u.HealthySince = fleet.HealthUnhealthy, nil
		return u
	}
	nothing := condemned(testTime.Add(3 * time.Minute))
	nothing.CheckedAt, nothing.Changed = new(testTime.Add(2*time.Minute)), false // that check has said nothing
	for _, tt := range []struct {
		name   string
		update fleet.HealthUpdate
		want   *time.Time
	}{
		{"unhealthy", condemned(testTime.Add(time.Minute)), new(testTime.Add(time.Minute))},
		{"still", condemned(testTime.Add(2 * time.Minute)), new(testTime.Add(time.Minute))},
		{"still, as far as is known", nothing, new(testTime.Add(time.Minute))},
		{"recovered", passed(i, testTime.Add(4*time.Minute)), nil},
		{"unhealthy again", condemned(testTime.Add(5 * time.Minute)), new(testTime.Add(5 * time.Minute))},
	} {
		if err := s.RecordHealth(system(t), []fleet.HealthUpdate{tt.update}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Instance(system(t), i.ID)
		if err != nil || !reflect.DeepEqual(got.UnhealthySince, tt.want) || !got.LastCheck.Equal(*tt.update.CheckedAt) {
			t.Errorf("%s: unhealthy since %v, checked at %v, %v; want %v and %v", tt.name, got.UnhealthySince, got.LastCheck, err, tt.want, tt.update.CheckedAt)
		}
	}
}

// TestHealthOfRunsThatAreOver: late results of checks say nothing about what runs now.
func TestHealthOfRunsThatAreOver(t *testing.T) {
	for name, over := range map[string]func(*testing.T, *postgres.Store, fleet.Instance){
		"restarted": func(t *testing.T, s *postgres.Store, i fleet.Instance) {
			running(t, s, i.ID, testTime.Add(time.Second))
		},
		"being ended": func(t *testing.T, s *postgres.Store, i fleet.Instance) {
			_, err := s.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) {
				i.Health, i.UnhealthySince, i.RecentExits = fleet.HealthUnhealthy, new(testTime), []time.Time{testTime.Add(-time.Hour), testTime}
			}))
			if err != nil {
				t.Fatal(err)
			}
		},
		"exited": func(t *testing.T, s *postgres.Store, i fleet.Instance) {
			_, err := s.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) { i.Current = fleet.StatusFailed }))
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t)
			i := checkedInstance(t, s)
			over(t, s, i)
			before, err := s.Instance(system(t), i.ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.RecordHealth(system(t), []fleet.HealthUpdate{passed(i, testTime)}); err != nil {
				t.Fatal(err)
			}
			if after, err := s.Instance(system(t), i.ID); err != nil || !reflect.DeepEqual(after, before) {
				t.Errorf("a late result left %+v, %v; want %+v", after, err, before)
			}
			if got := eventTypes(t, s, fleet.EventFilter{Type: fleet.EventHealthCheck}); len(got) != 0 {
				t.Errorf("events are %v", got)
			}
		})
	}
}

// TestHealthInOneBatch: of several updates of a run the last holds, every changed
// verdict is in the trail, and those of an earlier run are left out.
func TestHealthInOneBatch(t *testing.T) {
	s, _ := open(t)
	earlier := checkedInstance(t, s)
	i := running(t, s, earlier.ID, testTime.Add(time.Minute))
	healthy := passed(i, testTime.Add(2*time.Minute))
	unhealthy := healthy
	unhealthy.Health, unhealthy.HealthySince, unhealthy.Result.Details = fleet.HealthUnhealthy, nil, "status 503"
	again := passed(i, testTime.Add(3*time.Minute))
	quiet := again
	quiet.Changed, quiet.Result.Timestamp = false, testTime.Add(4*time.Minute)
	quiet.CheckedAt = new(quiet.Result.Timestamp)
	if err := s.RecordHealth(system(t), []fleet.HealthUpdate{healthy, unhealthy, again, quiet, passed(earlier, testTime)}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Instance(system(t), i.ID)
	if err != nil || got.Health != fleet.HealthHealthy || !got.LastCheck.Equal(quiet.Result.Timestamp) || !got.HealthySince.Equal(*again.HealthySince) {
		t.Errorf("recorded %+v, %v", got, err)
	}
	r, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventHealthCheck}, fleet.Page{})
	if err != nil {
		t.Fatal(err)
	}
	verdicts := make([]any, len(r.Items))
	for n, e := range r.Items {
		verdicts[n] = e.Data["health_status"]
	}
	if want := []any{"healthy", "unhealthy", "healthy"}; !slices.Equal(verdicts, want) {
		t.Errorf("the trail has %v, newest first; want %v", verdicts, want)
	}
}
