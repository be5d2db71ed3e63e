package httpapi_test

import (
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const backtest = "/api/containers/scaling/backtest"

// backtestOf is a request for a backtest of an hour with a policy on a definition.
func backtestOf(definition, more string) string {
	return `{"definition_id":"` + definition + `","environment":"staging","policy_name":"load","scaling_type":"horizontal","trigger_metric":"cpu",` +
		`"target_value":50,"from":"2026-06-06T08:00:00Z","to":"2026-06-06T09:00:00Z"` + more + `}`
}

// measuredWorld has a definition of up to ten replicas, of which two had that much
// to do of everything, at all times.
func measuredWorld(t *testing.T, percent float64) (w *world, definition string) {
	t.Helper()
	w = newWorld(t)
	definition, _, _, _ = w.seed(t)
	w.measured = percent
	answer := w.do(t, request{method: "PUT", path: definitions + "/" + definition, body: `{"scaling_config":{"min_replicas":1,"max_replicas":10}}`})
	if answer.Code != 200 {
		t.Fatalf("update the definition: %d %s", answer.Code, answer.Body)
	}
	return w, definition
}

func TestBacktest(t *testing.T) {
	w, definition := measuredWorld(t, 90)
	got := decode[api.BacktestResult](t, w.do(t, request{method: "POST", path: backtest, token: "monitoring", body: backtestOf(definition, "")}), 200)
	if len(got.Actions) != 1 || got.Actions[0].From != 2 || got.Actions[0].To != 4 || got.Actions[0].PolicyName != "load" || got.Actions[0].Reason == "" {
		t.Errorf("actions %+v, want from 2 to 4", got.Actions)
	}
	if got.Step != 60 || got.Evaluations != 60 || got.ActualReplicaHours != 2 || got.ActualTimeOverTarget != 3600 || got.TimeOverTarget != 60 || got.HighestReplicas != 4 {
		t.Errorf("result %+v", got)
	}
	bounded := decode[api.BacktestResult](t, w.do(t, request{method: "POST", path: backtest, body: backtestOf(definition, `,"max_replicas":3,"step":10`)}), 200)
	if len(bounded.Actions) != 1 || bounded.Actions[0].To != 3 || bounded.Actions[0].LimitedBy != "max_replicas" || bounded.Step != 10 {
		t.Errorf("with a bound of 3: %+v", bounded)
	}
	if len(w.policies) != 0 {
		t.Errorf("a backtest has stored %+v", w.policies)
	}
}

// The policies that are enabled take part if that is wished, but for the one of the same name.
func TestBacktestBesideOthers(t *testing.T) {
	w, definition := measuredWorld(t, 90)
	for name, target := range map[string]string{"load": "1", "eager": "30"} {
		w.do(t, request{method: "POST", path: policies, body: strings.NewReplacer(`"load"`, `"`+name+`"`, `"target_value":50,"from":"2026-06-06T08:00:00Z","to":"2026-06-06T09:00:00Z"`, `"target_value":`+target).
			Replace(backtestOf(definition, ""))})
	}
	if len(w.policies) != 2 {
		t.Fatalf("policies %+v", w.policies)
	}
	got := decode[api.BacktestResult](t, w.do(t, request{method: "POST", path: backtest, body: backtestOf(definition, `,"with_enabled_policies":true`)}), 200)
	if len(got.Actions) == 0 || got.Actions[0].PolicyName != "eager" || got.HighestReplicas != 6 {
		t.Errorf("result %+v, want the eager one to decide on 6 replicas", got)
	}
}

func TestBadBacktests(t *testing.T) {
	w := newWorld(t)
	definition, _, _, _ := w.seed(t)
	for name, tc := range map[string]struct {
		replace  [2]string
		status   int
		location string
	}{
		"nothing was measured":     {[2]string{"", ""}, 422, "from"},
		"it ends before it begins": {[2]string{"T09:00", "T07:00"}, 422, "body.to"},
		"it begins tomorrow":       {[2]string{"2026-06-06", "2099-06-06"}, 422, "body.from"},
		"too many evaluations":     {[2]string{`"to":"2026-06-06`, `"step":1,"to":"2026-06-07`}, 422, "body.step"},
		"a vertical policy":        {[2]string{`"horizontal"`, `"vertical"`}, 422, "body.scaling_type"},
		"thresholds that cross":    {[2]string{`"target_value":50`, `"scale_up_threshold":30,"scale_down_threshold":80,"scale_up_adjustment":1,"scale_down_adjustment":1`}, 422, "body.scale_down_threshold"},
		"no such environment":      {[2]string{`"staging"`, `"nowhere"`}, 422, "body.environment"},
		"no such definition":       {[2]string{definition, "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2aff"}, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.do(t, request{method: "POST", path: backtest, body: strings.ReplaceAll(backtestOf(definition, ""), tc.replace[0], tc.replace[1])})
			if tc.replace[0] == "" {
				answer = w.do(t, request{method: "POST", path: backtest, body: backtestOf(definition, "")})
			}
			p := problem(t, answer)
			found := tc.location == ""
			for _, e := range p.Errors {
				found = found || strings.HasSuffix(e.Location, tc.location)
			}
			if answer.Code != tc.status || !found {
				t.Errorf("%d %s, want %d at %s", answer.Code, answer.Body, tc.status, tc.location)
			}
		})
	}
}
