package daemon_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// queued posts how long a queue each instance of a definition has.
func (f *fixture) queued(t testing.TB, definitionID string, length float64) {
	t.Helper()
	for _, i := range f.instances(t, definitionID) {
		_, err := f.client.PostMetrics(t.Context(), i.ID, api.PostedMetric{MetricType: api.MetricTypeCustom, MetricName: "queue", MetricValue: length})
		if err != nil && !client.IsConflict(err) { // a conflict: it was removed since it was listed
			t.Fatal(err)
		}
	}
}

// decision is the newest one.
func (f *fixture) decision(t testing.TB) api.ScalingDecision {
	t.Helper()
	page, err := f.client.ListScalingDecisions(t.Context(), api.ListScalingDecisionsOptions{Page: api.Page{Limit: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Decisions) == 0 {
		return api.ScalingDecision{}
	}
	return page.Decisions[0]
}

// TestKilledInMidCooldown: a daemon that is killed between two scalings is followed
// by one that waits as it would have, and says so in the same row.
func TestKilledInMidCooldown(t *testing.T) {
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment("WEDSYNC_METRICS_INTERVAL=1s"))}
	f.client = f.Client(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 1)
	_, err := f.client.CreateScalingPolicy(t.Context(), api.CreateScalingPolicyRequest{
		DefinitionID: d.ID, Environment: "staging", PolicyName: "queue", ScalingType: api.ScalingHorizontal,
		TriggerMetric: api.MetricCustom, MetricName: "queue", TargetValue: new(10.0), CooldownPeriod: new(3600),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.queued(t, d.ID, 20)
	eventually(t, "twice the target has been answered by twice the replicas", func() bool {
		return len(f.instances(t, d.ID)) == 2 && f.decision(t).LimitedValue == 2
	})
	f.queued(t, d.ID, 60)
	held := func() bool {
		x := f.decision(t)
		// Twelve only when both instances have told of their queue.
		return x.Outcome == api.OutcomeLimited && x.LimitedBy == "scale_up_cooldown" && x.WantedValue == 12
	}
	eventually(t, "the cooldown holds back more", held)
	f.Kill()
	restarted := time.Now()
	f.Start(t)
	eventually(t, "the next daemon has decided the same", func() bool {
		f.queued(t, d.ID, 60)
		return held() && f.decision(t).LastEvaluatedAt.After(restarted)
	})
	page, err := f.client.ListDeployments(t.Context(), api.ListDeploymentsOptions{DefinitionID: d.ID})
	if err != nil || page.TotalCount != 2 {
		t.Errorf("%d deployments, %v; want the first one and one scaling: %+v", page.TotalCount, err, page.Deployments)
	}
}

// TestWhySevenReplicas: one query tells what was decided at a moment, and by what.
func TestWhySevenReplicas(t *testing.T) {
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment("WEDSYNC_METRICS_INTERVAL=1s"))}
	f.client = f.Client(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 1)
	_, err := f.client.CreateScalingPolicy(t.Context(), api.CreateScalingPolicyRequest{
		DefinitionID: d.ID, Environment: "staging", PolicyName: "queue", ScalingType: api.ScalingHorizontal, MaxReplicas: new(3),
		TriggerMetric: api.MetricCustom, MetricName: "queue", TargetValue: new(10.0), StabilizationWindow: new(3),
		ScaleDownCooldown: new(0),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.queued(t, d.ID, 65)
	eventually(t, "there are as many replicas as may be", func() bool { return len(f.instances(t, d.ID)) == 3 })
	conn := f.connect(t)
	var why string
	err = conn.QueryRow(t.Context(), `SELECT d.outcome || ': ' || d.current_value || ' to ' || d.limited_value || ' instead of ' || d.wanted_value || ' by ' || d.limited_by
			|| ' (' || d.policy_name || ', ' || (d.inputs -> 0 ->> 'metric_name') || ' ' || (d.inputs -> 0 ->> 'value') || ', target ' || (d.inputs -> 0 ->> 'target') || ')'
		FROM scaling_decisions d JOIN deployment_history h ON h.id = d.deployment_id
		WHERE d.definition_id = $1 AND h.instances_after = d.limited_value`, d.ID).Scan(&why)
	if want := "scaled_up: 1 to 3 instead of 7 by max_replicas (queue, queue 65, target 10)"; err != nil || why != want {
		t.Errorf("why: %s, %v; want %s", why, err, want)
	}
	f.queued(t, d.ID, 0)
	eventually(t, "it goes back to the minimum", func() bool {
		f.queued(t, d.ID, 0)
		return len(f.instances(t, d.ID)) == 1
	})
	page, err := f.client.ListScalingDecisions(t.Context(), api.ListScalingDecisionsOptions{DefinitionID: d.ID, Environment: "staging", ChangesOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, x := range page.Decisions {
		told = append(told, fmt.Sprintf("%s %d %d", x.Outcome, x.CurrentValue, x.LimitedValue))
	}
	if got := strings.Join(told, ", "); !strings.HasSuffix(got, "scaled_up 1 3") || !strings.HasPrefix(got, "scaled_down") {
		t.Errorf("changes, newest first: %s", got)
	}
	// Each moment from the first decision until now has one.
	for at := page.Decisions[len(page.Decisions)-1].DecidedAt; at.Before(time.Now()); at = at.Add(300 * time.Millisecond) {
		one, err := f.client.ListScalingDecisions(t.Context(), api.ListScalingDecisionsOptions{DefinitionID: d.ID, Environment: "staging", From: at, To: at})
		if err != nil || one.TotalCount != 1 || one.Decisions[0].DecidedAt.After(at) {
			t.Errorf("at %s: %+v, %v; want one decision", at.Format(time.TimeOnly), one.Decisions, err)
		}
	}
}
