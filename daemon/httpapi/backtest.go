package httpapi

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

const (
	pathBacktest = pathScaling + "/backtest"

	// maxBacktests bounds those at the same time: each may take seconds of a processor,
	// and memory for all that it replays.
	maxBacktests = 2
	// backtestSteps bounds the evaluations of a backtest, and backtestStep is the time
	// between two where that is not exceeded.
	backtestSteps = 20_000
	backtestStep  = time.Minute
	// settlingTime is how long a new replica takes, unless the request tells.
	settlingTime = 10
	// mostPolicies is more than a definition may have in an environment.
	mostPolicies = 100
)

// BacktestInput is a policy that is not stored, and what to replay through it.
type BacktestInput struct {
	Body api.BacktestRequest
}

func (s *server) registerBacktest(a huma.API) {
	register(s, a, operation{
		id: "backtestScaling", method: http.MethodPost, path: pathBacktest, tag: "scaling",
		summary: "Try a scaling policy on what was measured",
		description: "Replays the stored metrics of a time through a policy that is not stored, and tells what it would have done. Nothing is changed. " +
			"What other numbers of replicas would have measured is a guess: cpu, memory, request rate and custom metrics are shared out between them, and the response time is taken to be in inverse proportion to their number.",
		status: http.StatusOK, success: "What the policy would have done.",
		problems: []int{http.StatusNotFound, http.StatusUnsupportedMediaType},
	}, s.backtestScaling)
	checkBody(s, "backtestScaling", func(f *faults, r api.BacktestRequest) {
		policy := r.CreateScalingPolicyRequest
		checkScalingPolicy(f, scalingPolicyFromAPI(policy), policy.CooldownPeriod != nil, cooldowns(policy.ScaleUpCooldown, policy.ScaleDownCooldown)...)
		checkBacktest(f, r, time.Now())
	})
}

// checkBacktest checks what a backtest has beside its policy.
func checkBacktest(f *faults, r api.BacktestRequest, now time.Time) {
	switch {
	case !r.To.After(r.From):
		f.add("body.to", "is not after from, %s", r.From.Format(time.RFC3339))
	case r.From.After(now):
		f.add("body.from", "is in the future, of which nothing is measured yet; it is %s", now.UTC().Format(time.RFC3339))
	case r.Step > 0 && r.To.Sub(r.From) > backtestSteps*time.Duration(r.Step)*time.Second:
		f.add("body.step", "makes more than %d evaluations of %s; use %d at least, or a shorter time",
			backtestSteps, r.To.Sub(r.From), int(stepOf(r.To.Sub(r.From), time.Second)/time.Second))
	}
	if r.ScalingType == grammar.Vertical {
		f.add("body.scaling_type", "vertical changes what each replica may use, and a backtest replays numbers of replicas; use horizontal or scheduled")
	}
}

// stepOf is the step of a backtest over a time: least, or as much more as the
// bound of evaluations asks for, in whole seconds.
func stepOf(span, least time.Duration) time.Duration {
	return max(least, time.Duration(math.Ceil(span.Seconds()/backtestSteps))*time.Second)
}

func (s *server) backtestScaling(ctx context.Context, in *BacktestInput) (*Answer[api.BacktestResult], error) {
	r := in.Body
	definition, err := s.Store.Definition(ctx, r.DefinitionID)
	if err != nil {
		return nil, missing(err, "definition", r.DefinitionID)
	}
	policies, err := s.replayed(ctx, r)
	if err != nil {
		return nil, err
	}
	step := stepOf(r.To.Sub(r.From), backtestStep)
	if r.Step > 0 {
		step = time.Duration(r.Step) * time.Second
	}
	points, err := s.Store.WorkloadSeries(ctx, policies[0].Workload(), keysOf(policies), r.From, r.To, step)
	if err != nil {
		return nil, err
	}
	if len(points) == 0 {
		return nil, fleet.FieldErrorf(fleet.ErrInvalid, "from", "nothing is stored that was measured of definition %q in %s from then to %s; metrics are kept for as long as --metrics-retention says",
			definition.Name, r.Environment, r.To.UTC().Format(time.RFC3339))
	}
	settling := settlingTime
	assign(&settling, r.SettlingTime)
	result, err := autoscale.Backtest(autoscale.Replay{
		Policies: policies, Range: definition.Scaling, Settling: time.Duration(settling) * time.Second, Points: points,
	})
	if err != nil {
		return nil, err
	}
	return &Answer[api.BacktestResult]{Body: backtestToAPI(result, step)}, nil
}

// replayed are the policies that a backtest goes by: first the one that it is about.
func (s *server) replayed(ctx context.Context, r api.BacktestRequest) ([]fleet.ScalingPolicy, error) {
	policies := []fleet.ScalingPolicy{scalingPolicyFromAPI(r.CreateScalingPolicyRequest)}
	if !r.WithEnabledPolicies {
		return policies, nil
	}
	page, err := s.Store.ListScalingPolicies(ctx, fleet.ScalingPolicyFilter{DefinitionID: r.DefinitionID, Environment: r.Environment}, fleet.Page{Limit: mostPolicies})
	for _, p := range page.Items {
		if p.Enabled && p.Name != r.PolicyName && p.Rules.OwnsReplicas() {
			policies = append(policies, p)
		}
	}
	return policies, err
}

// keysOf are the metrics that policies go by.
func keysOf(policies []fleet.ScalingPolicy) (keys []fleet.MetricKey) {
	for _, p := range policies {
		if p.Rules.Type == grammar.Horizontal && !slices.Contains(keys, p.Key()) {
			keys = append(keys, p.Key())
		}
	}
	return keys
}

func backtestToAPI(r autoscale.Replayed, step time.Duration) api.BacktestResult {
	return api.BacktestResult{
		Actions:              list(r.Actions, backtestActionToAPI),
		ReplicaHours:         r.ReplicaHours,
		ActualReplicaHours:   r.ActualReplicaHours,
		TimeOverTarget:       r.OverTarget.Seconds(),
		ActualTimeOverTarget: r.ActualOverTarget.Seconds(),
		HighestReplicas:      r.Highest,
		LowestReplicas:       r.Lowest,
		Evaluations:          r.Evaluations,
		Step:                 int(step / time.Second),
	}
}

func backtestActionToAPI(a autoscale.Action) api.BacktestAction {
	return api.BacktestAction{At: a.At, From: a.From, To: a.To, PolicyName: a.Policy, LimitedBy: a.Limit, Reason: a.Reason}
}
