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

func TestWaitDeploymentFailed(t *testing.T) {
	code := 137
	for _, status := range []string{api.DeploymentFailed, api.DeploymentRolledBack} {
		t.Run(status, func(t *testing.T) {
			end := api.Deployment{
				ID: "d1", DefinitionName: "api", Environment: "staging", DeploymentStatus: status,
				Errors: []api.DeploymentError{{InstanceName: "api-staging-1", Step: "await_healthy", Message: "exited", ExitCode: &code, LogTail: []string{"panic: no database"}}},
			}
			_, err := newClient(t, rollout(t, 1, end, nil).URL).WaitDeployment(t.Context(), "d1", quick)
			var failed *client.DeploymentFailedError
			if !errors.As(err, &failed) || failed.Deployment.ID != "d1" {
				t.Fatalf("error %v, want a failed deployment", err)
			}
			for _, text := range []string{"deployment d1 of api in staging", status, "await_healthy", "api-staging-1", "exit code 137", "exited", "| panic: no database"} {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error %q lacks %q", err, text)
				}
			}
		})
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
