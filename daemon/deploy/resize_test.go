package deploy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func TestPlanResizes(t *testing.T) {
	own := fleet.Resources{CPU: "500m", Memory: "128Mi", Storage: "1Gi"}
	larger := fleet.Resources{CPU: "500m", Memory: "256Mi", Storage: "1Gi"}
	for _, tt := range []struct {
		name     string
		limits   *fleet.Resources // the instance's
		granted  fleet.Resources
		instance string
		uses     float64 // MiB
		want     string
	}{
		{"nothing is granted", nil, fleet.Resources{}, "d1/1 running healthy", 0, ""},
		{"more memory is granted", nil, fleet.Resources{Memory: "256Mi"}, "d1/1 running healthy", 0, "resize d1/1"},
		{"it has that already", &larger, fleet.Resources{Memory: "256Mi"}, "d1/1 running healthy", 0, ""},
		{"the grant has ended", &larger, fleet.Resources{}, "d1/1 running healthy", 0, "resize d1/1"},
		{"the grant has ended and much is in use", &larger, fleet.Resources{}, "d1/1 running healthy", 120, ""},
		{"the grant has ended and enough is left", &larger, fleet.Resources{}, "d1/1 running healthy", 110, "resize d1/1"},
		{"much is in use and less processor is granted", &larger, fleet.Resources{CPU: "250m"}, "d1/1 running healthy", 120, "resize d1/1"},
		{"much is in use and more is granted", &larger, fleet.Resources{Memory: "300Mi"}, "d1/1 running healthy", 299, "resize d1/1"},
		{"less memory is granted than is in use", nil, fleet.Resources{Memory: "64Mi"}, "d1/1 running healthy", 100, ""},
		{"less memory is granted and enough is left", nil, fleet.Resources{Memory: "64Mi"}, "d1/1 running healthy", 50, "resize d1/1"},
		{"less memory is granted than is in use, and more processor", nil, fleet.Resources{CPU: "750m", Memory: "64Mi"}, "d1/1 running healthy", 100, "resize d1/1"},
		{"what does not run is left alone", nil, fleet.Resources{Memory: "256Mi"}, "d1/1 stopped stop", 0, ""},
		{"a restart goes first", nil, fleet.Resources{Memory: "256Mi"}, "d1/1 running restart", 0, "restart d1/1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := deployment("d1", "v1", 1, fleet.DeploymentCompleted)
			target.Spec.Resources = own
			i := instance(t, tt.instance)
			i.Limits, i.Usage.MemoryMB = tt.limits, tt.uses
			steps := deploy.Plan(fleet.WorkloadState{Target: &target, Live: &target, Instances: []fleet.Instance{i}, Limits: tt.granted,
				Deployments: map[string]fleet.Deployment{"d1": target}}, noon).Steps
			var got []string
			for _, s := range steps {
				got = append(got, s.String())
			}
			if g := strings.Join(got, ","); g != tt.want {
				t.Errorf("plans %q, want %q", g, tt.want)
			}
		})
	}
}

func TestControllerResizesInPlace(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		r.deploy(t, 2)
		after(time.Second)
		before := r.engine.ids()
		own := r.instances()[0].Limits
		r.store.grant(fleet.Resources{CPU: "750m", Memory: "64Mi"})
		r.controller.Wake(theWorkload)
		after(time.Second)
		for _, i := range r.instances() {
			got := r.engine.limits[i.ContainerID]
			if got.CPU != "750m" || got.Memory != "64Mi" || i.Limits == nil || *i.Limits != got || i.Restarts != 0 {
				t.Errorf("the engine was told %+v, the row says %+v after %d restarts", got, i.Limits, i.Restarts)
			}
		}
		d, err := r.service.Scale(fleet.AsSystem(t.Context()), fleet.ScaleRequest{Workload: theWorkload, Replicas: 3})
		if err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		now := r.instances()
		if d = r.status(d.ID); d.Status != fleet.DeploymentCompleted || len(now) != 3 {
			t.Fatalf("scaling is %s with %d instances", d.Status, len(now))
		}
		for _, i := range now {
			if i.Limits == nil || i.Limits.CPU != "750m" {
				t.Errorf("replica %d may use %+v", i.Replica, i.Limits)
			}
		}
		r.store.grant(fleet.Resources{})
		r.controller.Wake(theWorkload)
		after(time.Second)
		for _, i := range r.instances() {
			if i.Limits != own {
				t.Errorf("replica %d may use %+v although nothing is granted any more", i.Replica, i.Limits)
			}
		}
		if left := slices.DeleteFunc(r.engine.ids(), func(id string) bool { return !slices.Contains(before, id) }); len(left) != len(before) {
			t.Errorf("of %d containers only %d are still there", len(before), len(left))
		}
	})
}

// TestControllerResizesPatiently: what the engine refuses is asked for ever less
// often, and told once; and nothing else that the instance needs waits for it.
func TestControllerResizesPatiently(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		r.deploy(t, 1)
		after(time.Second)
		full := fleet.Errorf(fleet.ErrRefused, "the memory is in use")
		r.engine.fail("resize", slices.Repeat([]error{full}, 1000)...)
		r.store.grant(fleet.Resources{Memory: "64Mi"})
		r.controller.Wake(theWorkload)
		after(time.Hour)
		if n := r.engine.count("resize"); n < 60 || n > 60+60+20 {
			t.Errorf("%d tries in an hour, want one in half a minute to a minute", n)
		}
		if n := strings.Count(r.logged.String(), full.Error()); n != 1 {
			t.Errorf("told %d times:\n%s", n, r.logged.String())
		}
		i := r.instances()[0]
		r.engine.exit(i.ContainerID, 1)
		after(time.Second)
		if now := r.instances()[0]; now.Current != fleet.StatusRunning || now.Restarts != 1 {
			t.Errorf("a second after it exited it is %s with %d restarts", now.Current, now.Restarts)
		}
	})
}
