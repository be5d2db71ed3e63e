package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var quick = client.WaitOptions{PollMin: time.Millisecond, PollMax: 2 * time.Millisecond, Patience: time.Minute}

// rollout serves a deployment that is in progress for the given number of
// status questions and then ends; onStatus may answer a question itself.
func rollout(t *testing.T, questions int, end api.Deployment, onStatus func(w http.ResponseWriter, n int) bool) *recorder {
	asked := 0
	return serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if !strings.HasSuffix(r.URL.Path, "/status") {
			answer(w, http.StatusOK, end)
			return
		}
		asked++
		if onStatus != nil && onStatus(w, asked) {
			return
		}
		status := api.DeploymentStatus{ID: end.ID, Status: api.DeploymentInProgress}
		status.Progress.TotalSteps = questions
		status.Progress.CompletedSteps = asked / 2
		if asked > questions {
			status.Status = end.DeploymentStatus
		}
		answer(w, http.StatusOK, api.DeploymentStatusResponse{Deployment: status})
	})
}

func TestWaitDeployment(t *testing.T) {
	end := api.Deployment{ID: "d1", DeploymentStatus: api.DeploymentCompleted, ImageDigest: "sha256:1"}
	srv := rollout(t, 4, end, nil)
	var progress []string
	o := quick
	o.OnProgress = func(s api.DeploymentStatus) {
		progress = append(progress, fmt.Sprintf("%s %d/%d", s.Status, s.Progress.CompletedSteps, s.Progress.TotalSteps))
	}
	got, err := newClient(t, srv.URL).WaitDeployment(t.Context(), "d1", o)
	if err != nil {
		t.Fatal(err)
	}
	if got.ImageDigest != "sha256:1" {
		t.Errorf("deployment %+v, want the whole one", got)
	}
	want := "[in_progress 0/4 in_progress 1/4 in_progress 2/4 completed 2/4]"
	if fmt.Sprint(progress) != want {
		t.Errorf("progress %v, want %s", progress, want)
	}
}

// failing is a deployment that fails, and the rollback that undoes it.
func failing() (failed, rollback api.Deployment) {
	code := 137
	failed = api.Deployment{
		ID: "d1", DefinitionName: "api", Environment: "staging", DeploymentType: api.TypeDeploy, DeploymentStatus: api.DeploymentFailed, RollbackID: "r1",
		Errors: []api.DeploymentError{{
			InstanceName: "api-staging-1", Step: "await_healthy", Message: "exited", ExitCode: &code,
			HealthOutput: "connection refused", LogTail: []string{"starting", "panic: no database"},
		}},
	}
	rollback = api.Deployment{
		ID: "r1", DefinitionName: "api", Environment: "staging", DeploymentType: api.TypeRollback, DeploymentStatus: api.DeploymentCompleted,
		ImageTag: "v1", RollbackTargetID: "d0", RollbackOfID: "d1",
	}
	return failed, rollback
}

// whatFailed is the part of an error's text that says what failing's deployment failed of.
const whatFailed = "\nstep await_healthy, instance api-staging-1, exit code 137: exited" +
	"\n  health check: connection refused\n  | starting\n  | panic: no database\n"

// undoing serves a deployment that has failed and its rollback, which is in
// progress for the given number of status questions. onStatus may answer a
// question about the rollback itself.
func undoing(t *testing.T, questions int, failed, rollback api.Deployment, onStatus func(w http.ResponseWriter, n int) bool) *recorder {
	asked := 0
	return serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		d := failed
		if strings.Contains(r.URL.Path, "/"+rollback.ID) {
			d = rollback
		} else if asked > questions && rollback.DeploymentStatus == api.DeploymentCompleted {
			d.DeploymentStatus = api.DeploymentRolledBack
		}
		if !strings.HasSuffix(r.URL.Path, "/status") {
			answer(w, http.StatusOK, d)
			return
		}
		status := api.DeploymentStatus{ID: d.ID, Status: d.DeploymentStatus, RollbackID: d.RollbackID}
		if d.ID == rollback.ID {
			asked++
			if onStatus != nil && onStatus(w, asked) {
				return
			}
			if asked <= questions {
				status.Status = api.DeploymentInProgress
			}
		}
		answer(w, http.StatusOK, api.DeploymentStatusResponse{Deployment: status})
	})
}

func TestWaitDeploymentFollowsTheRollback(t *testing.T) {
	failed, rollback := failing()
	var progress []string
	o := quick
	o.OnProgress = func(s api.DeploymentStatus) { progress = append(progress, s.ID+" "+s.Status) }
	got, err := newClient(t, undoing(t, 3, failed, rollback, nil).URL).WaitDeployment(t.Context(), "d1", o)
	var end *client.DeploymentFailedError
	if !errors.As(err, &end) || end.Rollback == nil || end.Rollback.ID != "r1" || end.Deployment.DeploymentStatus != api.DeploymentRolledBack {
		t.Fatalf("error %v, want a deployment that was rolled back", err)
	}
	if got.ID != "d1" || got.DeploymentStatus != api.DeploymentRolledBack {
		t.Errorf("deployment %+v, want the one that was waited for", got)
	}
	want := "deployment d1 of api in staging ended as rolled_back" + whatFailed + "rolled back to deployment d0 (image tag v1)"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if got, want := fmt.Sprint(progress), "[d1 failed r1 in_progress r1 completed d1 rolled_back]"; got != want {
		t.Errorf("progress %v, want %s", got, want)
	}
}

func TestWaitDeploymentTellsOfAFailedRollback(t *testing.T) {
	failed, rollback := failing()
	rollback.DeploymentStatus = api.DeploymentFailed
	rollback.Errors = []api.DeploymentError{{Step: "pull", Message: "the registry does not answer"}}
	got, err := newClient(t, undoing(t, 2, failed, rollback, nil).URL).WaitDeployment(t.Context(), "d1", quick)
	var end *client.DeploymentFailedError
	if !errors.As(err, &end) || end.Rollback == nil || len(end.Rollback.Errors) != 1 || got.DeploymentStatus != api.DeploymentFailed {
		t.Fatalf("error %v, want a failed deployment with its failed rollback", err)
	}
	want := "deployment d1 of api in staging ended as failed" + whatFailed +
		"the rollback r1 to deployment d0 (image tag v1) ended as failed:\nstep pull: the registry does not answer"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestWaitDeploymentForgivesARestartDuringTheRollback(t *testing.T) {
	failed, rollback := failing()
	down := func(w http.ResponseWriter, n int) bool {
		if n != 2 && n != 3 {
			return false
		}
		reset(w)
		return true
	}
	c := newClient(t, undoing(t, 4, failed, rollback, down).URL, client.WithRetries(0, 0, 0))
	_, err := c.WaitDeployment(t.Context(), "d1", quick)
	var end *client.DeploymentFailedError
	if !errors.As(err, &end) || end.Rollback == nil {
		t.Fatalf("error %v, want a deployment that was rolled back", err)
	}
}

// TestWaitDeploymentEndsDuringTheRollback: who is not waiting any longer still learns what failed.
func TestWaitDeploymentEndsDuringTheRollback(t *testing.T) {
	failed, rollback := failing()
	ctx, cancel := context.WithCancel(t.Context())
	srv := undoing(t, 1<<30, failed, rollback, func(_ http.ResponseWriter, n int) bool {
		if n == 3 {
			cancel()
		}
		return false
	})
	got, err := newClient(t, srv.URL).WaitDeployment(ctx, "d1", quick)
	var end *client.DeploymentFailedError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &end) || end.Rollback != nil || got.ID != "d1" {
		t.Fatalf("deployment %+v and error %v, want both the failed deployment and context.Canceled", got, err)
	}
	for _, text := range []string{whatFailed, "the rollback r1 goes on", "wait for rollback r1"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q lacks %q", err, text)
		}
	}
}

func TestWaitDeploymentFailed(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*api.Deployment)
		outcome string
	}{
		{"first deployment", func(*api.Deployment) {}, "nothing was rolled back, as nothing was stable before"},
		{"rollback", func(d *api.Deployment) { d.DeploymentType = api.TypeRollback }, "a rollback that fails is not rolled back itself"},
		{"removal", func(d *api.Deployment) { d.IsRemoval = true }, "a removal that fails is not rolled back"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			end, _ := failing()
			end.RollbackID = ""
			tt.change(&end)
			_, err := newClient(t, rollout(t, 1, end, nil).URL).WaitDeployment(t.Context(), "d1", quick)
			var failed *client.DeploymentFailedError
			var superseded *client.DeploymentSupersededError
			if !errors.As(err, &failed) || failed.Deployment.ID != "d1" || failed.Rollback != nil || errors.As(err, &superseded) {
				t.Fatalf("error %v, want a failed deployment", err)
			}
			for _, text := range []string{"deployment d1 of api in staging ended as failed", whatFailed + tt.outcome} {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error %q lacks %q", err, text)
				}
			}
		})
	}
}

func TestWaitDeploymentSuperseded(t *testing.T) {
	end := api.Deployment{
		ID: "d1", DefinitionName: "api", Environment: "staging", DeploymentStatus: api.DeploymentFailed, SupersededByID: "d2",
		Errors: []api.DeploymentError{{Step: "superseded", Message: "superseded by deployment d2"}},
	}
	_, err := newClient(t, rollout(t, 1, end, nil).URL).WaitDeployment(t.Context(), "d1", quick)
	var superseded *client.DeploymentSupersededError
	var failed *client.DeploymentFailedError
	if !errors.As(err, &superseded) || superseded.Deployment.SupersededByID != "d2" || !errors.As(err, &failed) {
		t.Fatalf("error %v, want a superseded deployment, which has failed", err)
	}
	const want = "deployment d1 of api in staging was superseded by deployment d2, which began while it was in progress"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if !strings.Contains(failed.Error(), "deployment d2 has taken its place") {
		t.Errorf("as a failed one it says %q", failed)
	}
}

// TestWaitDeploymentRolledBackByAUser: a rollback by hand takes the place of what
// is in progress, and is its rollback nevertheless.
func TestWaitDeploymentRolledBackByAUser(t *testing.T) {
	failed, rollback := failing()
	failed.SupersededByID = rollback.ID
	_, err := newClient(t, undoing(t, 1, failed, rollback, nil).URL).WaitDeployment(t.Context(), "d1", quick)
	var superseded *client.DeploymentSupersededError
	var end *client.DeploymentFailedError
	if !errors.As(err, &end) || end.Rollback == nil || errors.As(err, &superseded) {
		t.Fatalf("error %v, want a deployment that was rolled back", err)
	}
}

// TestWaitDeploymentForgivesARestartAtTheEnd loses the daemon between the last
// status and the whole deployment.
func TestWaitDeploymentForgivesARestartAtTheEnd(t *testing.T) {
	lost := false
	srv := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		switch status := strings.HasSuffix(r.URL.Path, "/status"); {
		case status:
			answer(w, http.StatusOK, api.DeploymentStatusResponse{Deployment: api.DeploymentStatus{ID: "d1", Status: api.DeploymentCompleted}})
		case !lost:
			lost = true
			reset(w)
		default:
			answer(w, http.StatusOK, api.Deployment{ID: "d1", DeploymentStatus: api.DeploymentCompleted})
		}
	})
	got, err := newClient(t, srv.URL, client.WithRetries(0, 0, 0)).WaitDeployment(t.Context(), "d1", quick)
	if err != nil || got.ID != "d1" {
		t.Fatalf("deployment %+v and error %v", got, err)
	}
}

func TestWaitDeploymentForgivesARestart(t *testing.T) {
	end := api.Deployment{ID: "d1", DeploymentStatus: api.DeploymentCompleted}
	down := func(w http.ResponseWriter, n int) bool {
		if n < 2 || n > 12 {
			return false
		}
		reset(w)
		return true
	}
	c := newClient(t, rollout(t, 14, end, down).URL, client.WithRetries(0, 0, 0))
	if _, err := c.WaitDeployment(t.Context(), "d1", quick); err != nil {
		t.Fatal(err)
	}
}

func TestWaitDeploymentLosesPatience(t *testing.T) {
	down := func(w http.ResponseWriter, _ int) bool { reset(w); return true }
	c := newClient(t, rollout(t, 1, api.Deployment{}, down).URL, client.WithRetries(0, 0, 0))
	o := quick
	o.Patience = 20 * time.Millisecond
	if _, err := c.WaitDeployment(t.Context(), "d1", o); !client.IsUnavailable(err) {
		t.Fatalf("error %v, want an unreachable daemon", err)
	}
}

func TestWaitDeploymentEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := rollout(t, 1<<30, api.Deployment{}, func(_ http.ResponseWriter, n int) bool {
		if n == 3 {
			cancel()
		}
		return false
	})
	_, err := newClient(t, srv.URL).WaitDeployment(ctx, "d1", quick)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want context.Canceled", err)
	}
}

func TestWaitDeploymentStopsAtARefusal(t *testing.T) {
	gone := func(w http.ResponseWriter, _ int) bool {
		problem(w, api.Problem{Status: 404, Code: api.CodeNotFound, Detail: "no such deployment"})
		return true
	}
	_, err := newClient(t, rollout(t, 1, api.Deployment{}, gone).URL).WaitDeployment(t.Context(), "d1", quick)
	if !client.IsNotFound(err) {
		t.Fatalf("error %v, want not found", err)
	}
}

func TestWaitInstance(t *testing.T) {
	tests := []struct {
		name     string
		statuses []string
		wanted   string
		ends     bool
	}{
		{"comes to run", []string{"pending", "failed", "pending", "running"}, api.InstanceRunning, false},
		{"terminated as asked", []string{"running", "terminated"}, api.InstanceTerminated, false},
		{"terminated instead", []string{"pending", "terminated"}, api.InstanceRunning, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
				answer(w, http.StatusOK, api.Instance{InstanceName: "api-1", CurrentStatus: tt.statuses[n-1], ErrorMessage: "killed"})
			})
			got, err := newClient(t, srv.URL).WaitInstance(t.Context(), "i1", tt.wanted, quick)
			var ended *client.InstanceTerminatedError
			if tt.ends != errors.As(err, &ended) || !tt.ends && err != nil {
				t.Fatalf("error %v", err)
			}
			if n := len(srv.all()); n != len(tt.statuses) || got.CurrentStatus != tt.statuses[n-1] {
				t.Errorf("%d questions, last status %s", n, got.CurrentStatus)
			}
		})
	}
}
