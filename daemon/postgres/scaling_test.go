package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// policyOf is a policy of a definition in staging that keeps cpu at a target.
func policyOf(d fleet.Definition, name string) fleet.ScalingPolicy {
	rules := grammar.DefaultScaling(grammar.Horizontal, false)
	rules.Metric, rules.Target = grammar.MetricCPU, new(60.0)
	return fleet.ScalingPolicy{DefinitionID: d.ID, Environment: "staging", Name: name, Rules: rules, Enabled: true}
}

// resizing is a policy that resizes a metric of a definition in staging.
func resizing(d fleet.Definition, name, metric string) fleet.ScalingPolicy {
	p := policyOf(d, name)
	p.Rules = grammar.DefaultScaling(grammar.Vertical, false)
	p.Rules.Metric, p.Rules.MinLimit, p.Rules.MaxLimit = metric, "64Mi", "1Gi"
	return p
}

func createPolicy(t *testing.T, s *postgres.Store, p fleet.ScalingPolicy) fleet.ScalingPolicy {
	t.Helper()
	got, err := s.CreateScalingPolicy(system(t), p)
	if err != nil {
		t.Fatalf("create scaling policy: %v", err)
	}
	return got
}

// everyRule is a policy with a value of its own in each field, whatever the grammar says of that.
func everyRule() grammar.Scaling {
	return grammar.Scaling{
		Type: grammar.Horizontal, Metric: grammar.MetricCustom, MetricName: "photos_waiting", Target: new(0.25),
		ScaleUpThreshold: new(400.5), ScaleDownThreshold: new(1e-3), ScaleUpAdjustment: new(3), ScaleDownAdjustment: new(2),
		MinReplicas: new(2), MaxReplicas: new(4), ScaleUpCooldown: 5, ScaleDownCooldown: 6, StabilizationWindow: 7,
		MaxScaleUp: 8, MaxScaleDown: 9, ScalePeriod: 10, MinLimit: "250m", MaxLimit: "2",
		ScheduleStart: "0 8 * * 6", ScheduleEnd: "0 23 * * 6", TimeZone: "Europe/London",
	}
}

func TestScalingPolicyRoundTrip(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	want := policyOf(d, "everything")
	want.Rules = everyRule()
	got := createPolicy(t, s, want)
	want.ID, want.DefinitionName, want.CreatedBy, want.CreatedAt, want.UpdatedAt = got.ID, "api", fleet.System.ID, got.CreatedAt, got.UpdatedAt
	if got.ID == "" || got.CreatedAt.IsZero() || !reflect.DeepEqual(got, want) {
		t.Errorf("created %+v, want %+v", got, want)
	}
	if read, err := s.ScalingPolicy(system(t), got.ID); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, %v", read, err)
	}
	season := policyOf(d, "season")
	season.Rules = grammar.Scaling{Type: grammar.Scheduled, MinReplicas: new(2), ScheduleStart: "0 0 1 5 *", ScheduleEnd: "0 0 1 10 *", TimeZone: "UTC"}
	season.Enabled = false
	got = createPolicy(t, s, season)
	if season.Rules.ScalePeriod = grammar.DefaultScalePeriod; !reflect.DeepEqual(got.Rules, season.Rules) || got.Enabled {
		t.Errorf("a schedule became %+v", got)
	}
	_, err := s.ScalingPolicy(system(t), definitionID)
	wantKind(t, err, fleet.ErrNotFound)
}

func TestUpdateScalingPolicy(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	p := createPolicy(t, s, policyOf(d, "load"))
	got, err := s.UpdateScalingPolicy(system(t), p.ID, func(p *fleet.ScalingPolicy) error {
		p.Rules, p.Enabled = everyRule(), false
		p.Name, p.Environment, p.DefinitionID = "other", "production", definitionID // its identity stays
		return nil
	})
	want := p
	want.Rules, want.Enabled, want.UpdatedAt = everyRule(), false, got.UpdatedAt
	if err != nil || !got.UpdatedAt.After(p.UpdatedAt) || !reflect.DeepEqual(got, want) {
		t.Errorf("updated to %+v, %v; want %+v", got, err, want)
	}
	if same, err := s.UpdateScalingPolicy(system(t), p.ID, func(*fleet.ScalingPolicy) error { return nil }); err != nil || !reflect.DeepEqual(same, want) {
		t.Errorf("an update of nothing returned %+v, %v", same, err)
	}
	boom := errors.New("boom")
	_, err = s.UpdateScalingPolicy(system(t), p.ID, func(p *fleet.ScalingPolicy) error { p.Enabled = true; return boom })
	wantKind(t, err, boom)
	if read, err := s.ScalingPolicy(system(t), p.ID); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("a change that failed left %+v, %v", read, err)
	}
	_, err = s.UpdateScalingPolicy(system(t), definitionID, func(*fleet.ScalingPolicy) error { return nil })
	wantKind(t, err, fleet.ErrNotFound)
	types := []string{fleet.EventScalingPolicyUpdated, fleet.EventScalingPolicyCreated}
	if got := eventTypes(t, s, fleet.EventFilter{Environment: "staging"}); !slices.Equal(got, types) {
		t.Errorf("events are %v, want %v", got, types)
	}
}

func TestDeleteScalingPolicy(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	p := createPolicy(t, s, policyOf(d, "load"))
	if err := s.DeleteScalingPolicy(system(t), p.ID); err != nil {
		t.Fatal(err)
	}
	_, err := s.ScalingPolicy(system(t), p.ID)
	wantKind(t, err, fleet.ErrNotFound)
	wantKind(t, s.DeleteScalingPolicy(system(t), p.ID), fleet.ErrNotFound)
	events, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventScalingPolicyDeleted, DefinitionID: d.ID}, fleet.Page{})
	if err != nil || len(events.Items) != 1 || events.Items[0].Data["policy_name"] != "load" || events.Items[0].Environment != "staging" {
		t.Errorf("events are %+v, %v", events.Items, err)
	}
}

// TestScalingPolicyRefusals: what does not fit is refused at the field, and nothing of it is stored.
func TestScalingPolicyRefusals(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api") // 1 to 4 replicas
	gone := createDefinition(t, s, "gone")
	if err := s.DeleteDefinition(system(t), gone.ID); err != nil {
		t.Fatal(err)
	}
	first := createPolicy(t, s, policyOf(d, "load"))
	first.Rules.Target = nil // the definition's, which is of cpu too
	if _, err := s.UpdateScalingPolicy(system(t), first.ID, func(p *fleet.ScalingPolicy) error { p.Rules = first.Rules; return nil }); err != nil {
		t.Fatal(err)
	}
	createPolicy(t, s, resizing(d, "memory", grammar.MetricMemory))
	off := resizing(d, "off", grammar.MetricMemory)
	off.Enabled = false
	off = createPolicy(t, s, off)

	change := func(p fleet.ScalingPolicy, set func(*fleet.ScalingPolicy)) fleet.ScalingPolicy { set(&p); return p }
	for name, tt := range map[string]struct {
		policy fleet.ScalingPolicy
		kind   error
		field  string
		says   string
	}{
		"no definition":      {policyOf(fleet.Definition{ID: definitionID}, "x"), fleet.ErrNotFound, "definition_id", definitionID},
		"deleted definition": {policyOf(gone, "x"), fleet.ErrNotFound, "definition_id", gone.ID},
		"name":               {policyOf(d, "load"), fleet.ErrAlreadyExists, "policy_name", "choose another name"},
		"minimum":            {change(policyOf(d, "x"), func(p *fleet.ScalingPolicy) { p.Rules.MinReplicas = new(0) }), fleet.ErrInvalid, "min_replicas", "1 to 4"},
		"maximum":            {change(policyOf(d, "x"), func(p *fleet.ScalingPolicy) { p.Rules.MaxReplicas = new(5) }), fleet.ErrInvalid, "max_replicas", "1 to 4"},
		"minimum above all":  {change(policyOf(d, "x"), func(p *fleet.ScalingPolicy) { p.Rules.MinReplicas = new(5) }), fleet.ErrInvalid, "min_replicas", `"api"`},
		"resized beneath":    {resizing(d, "x", grammar.MetricCPU), fleet.ErrConflict, "trigger_metric", `"load"`},
		"measured above":     {change(policyOf(d, "x"), func(p *fleet.ScalingPolicy) { p.Rules.Metric = grammar.MetricMemory }), fleet.ErrConflict, "trigger_metric", `"memory"`},
		"resized twice":      {resizing(d, "x", grammar.MetricMemory), fleet.ErrConflict, "trigger_metric", `"memory"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.CreateScalingPolicy(system(t), tt.policy)
			if errors.Is(tt.kind, fleet.ErrInvalid) {
				wantInvalid(t, err, tt.field)
			} else {
				wantField(t, err, tt.kind, tt.field)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("refused with %q, want %q in it", err, tt.says)
			}
		})
	}
	_, err := s.UpdateScalingPolicy(system(t), off.ID, func(p *fleet.ScalingPolicy) error { p.Enabled = true; return nil })
	wantField(t, err, fleet.ErrConflict, "trigger_metric") // it was no harm while it was off

	elsewhere := resizing(d, "elsewhere", grammar.MetricCPU)
	elsewhere.Environment = "production"
	createPolicy(t, s, elsewhere)
	createPolicy(t, s, policyOf(d, "second")) // two that measure the same get along
	if r, err := s.ListScalingPolicies(system(t), fleet.ScalingPolicyFilter{}, fleet.Page{}); err != nil || r.Total != 5 {
		t.Errorf("%d policies, %v; want the five that were made", r.Total, err)
	}
}

// TestDisableBeyondTheRange: a policy whose bounds are outside of what its definition
// has become can be turned off, but neither back on nor given others outside.
func TestDisableBeyondTheRange(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api") // 1 to 4 replicas
	p := policyOf(d, "load")
	p.Rules.MaxReplicas = new(4)
	p = createPolicy(t, s, p)
	if _, err := s.UpdateDefinition(system(t), d.ID, fleet.CredentialsChange{}, func(d *fleet.Definition) error { d.Scaling.MaxReplicas = 3; return nil }); err != nil {
		t.Fatal(err)
	}
	update := func(change func(*fleet.ScalingPolicy)) (fleet.ScalingPolicy, error) {
		return s.UpdateScalingPolicy(system(t), p.ID, func(p *fleet.ScalingPolicy) error { change(p); return nil })
	}
	_, err := update(func(p *fleet.ScalingPolicy) { p.Rules.ScaleDownCooldown = 7 })
	wantInvalid(t, err, "max_replicas")
	if off, err := update(func(p *fleet.ScalingPolicy) { p.Enabled = false }); err != nil || off.Enabled {
		t.Fatalf("disabled, it is %+v, %v", off, err)
	}
	if _, err := update(func(p *fleet.ScalingPolicy) { p.Rules.ScaleDownCooldown = 7 }); err != nil {
		t.Errorf("change it while it is off: %v", err)
	}
	_, err = update(func(p *fleet.ScalingPolicy) { p.Rules.MaxReplicas = new(5) })
	wantInvalid(t, err, "max_replicas")
	_, err = update(func(p *fleet.ScalingPolicy) { p.Enabled = true })
	wantInvalid(t, err, "max_replicas")
	if _, err := update(func(p *fleet.ScalingPolicy) { p.Enabled, p.Rules.MaxReplicas = true, new(3) }); err != nil {
		t.Errorf("enable it with bounds that fit: %v", err)
	}
}

// wantInvalid asks for an error at exactly one field.
func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var invalid *fleet.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != field {
		t.Fatalf("error is %v, want %s to be invalid", err, field)
	}
}

// TestScalingPolicyNumber: a workload has so many policies, also when they come at once.
func TestScalingPolicyNumber(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, refused := 0, 0
	for n := range fleet.MaxScalingPolicies + 4 {
		wg.Go(func() {
			_, err := s.CreateScalingPolicy(system(t), policyOf(d, fmt.Sprint("p-", n)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case errors.Is(err, fleet.ErrConflict):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != fleet.MaxScalingPolicies || refused != 4 {
		t.Errorf("%d policies were made and %d refused", made, refused)
	}
	elsewhere := policyOf(d, "p-0")
	elsewhere.Environment = "production"
	createPolicy(t, s, elsewhere)
}

// TestScalingPoliciesAtOnce: of two that don't get along, one comes to be.
func TestScalingPoliciesAtOnce(t *testing.T) {
	s, _ := open(t)
	for n := range 8 {
		d := createDefinition(t, s, fmt.Sprint("api-", n))
		results := make([]error, 2)
		var wg sync.WaitGroup
		wg.Go(func() { _, results[0] = s.CreateScalingPolicy(system(t), policyOf(d, "out")) })
		wg.Go(func() { _, results[1] = s.CreateScalingPolicy(system(t), resizing(d, "up", grammar.MetricCPU)) })
		wg.Wait()
		slices.SortFunc(results, func(a, _ error) int {
			if a == nil {
				return -1
			}
			return 1
		})
		if results[0] != nil || !errors.Is(results[1], fleet.ErrConflict) {
			t.Errorf("two that don't get along: %v", results)
		}
	}
}

// TestDeleteDefinitionWithPolicies: its policies go with it, also those that who
// deletes it may not see.
func TestDeleteDefinitionWithPolicies(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	seen := createPolicy(t, s, policyOf(d, "load"))
	hidden := policyOf(d, "load")
	hidden.Environment = "production"
	hidden = createPolicy(t, s, hidden)
	if err := s.DeleteDefinition(as(t, s, devops, "staging"), d.ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{seen.ID, hidden.ID} {
		_, err := s.ScalingPolicy(system(t), id)
		wantKind(t, err, fleet.ErrNotFound)
		_, err = s.UpdateScalingPolicy(system(t), id, func(*fleet.ScalingPolicy) error { return nil })
		wantKind(t, err, fleet.ErrNotFound)
		wantKind(t, s.DeleteScalingPolicy(system(t), id), fleet.ErrNotFound)
	}
	if r, err := s.ListScalingPolicies(system(t), fleet.ScalingPolicyFilter{}, fleet.Page{}); err != nil || r.Total != 0 || len(r.Items) != 0 {
		t.Errorf("%d policies, %v; want none", r.Total, err)
	}
	types := []string{fleet.EventScalingPolicyDeleted}
	if got := eventTypes(t, s, fleet.EventFilter{Type: fleet.EventScalingPolicyDeleted}); !slices.Equal(got, types) {
		t.Errorf("events are %v, want %v", got, types)
	}
}

func TestListScalingPolicies(t *testing.T) {
	s, _ := open(t)
	api, web := createDefinition(t, s, "api"), createDefinition(t, s, "web")
	createPolicy(t, s, policyOf(api, "b"))
	createPolicy(t, s, policyOf(web, "a"))
	createPolicy(t, s, resizing(web, "c", grammar.MetricMemory))
	elsewhere := policyOf(api, "b")
	elsewhere.Environment = "production"
	createPolicy(t, s, elsewhere)
	for name, tt := range map[string]struct {
		filter fleet.ScalingPolicyFilter
		want   []string
	}{
		"all":         {fleet.ScalingPolicyFilter{}, []string{"web/a", "api/b", "api/b", "web/c"}},
		"definition":  {fleet.ScalingPolicyFilter{DefinitionID: web.ID}, []string{"web/a", "web/c"}},
		"environment": {fleet.ScalingPolicyFilter{Environment: "production"}, []string{"api/b"}},
		"name":        {fleet.ScalingPolicyFilter{Name: "a"}, []string{"web/a"}},
		"type":        {fleet.ScalingPolicyFilter{Type: grammar.Vertical}, []string{"web/c"}},
		"none":        {fleet.ScalingPolicyFilter{DefinitionID: api.ID, Type: grammar.Scheduled}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := []string{}
			p := fleet.Page{Limit: 1}
			for {
				r, err := s.ListScalingPolicies(system(t), tt.filter, p)
				if err != nil || r.Total != len(tt.want) {
					t.Fatalf("%d policies, %v; want %d", r.Total, err, len(tt.want))
				}
				for _, p := range r.Items {
					got = append(got, p.DefinitionName+"/"+p.Name)
				}
				if p.Cursor = r.NextCursor; p.Cursor == "" {
					break
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("lists %v, want %v", got, tt.want)
			}
		})
	}
	if r, err := s.ListScalingPolicies(as(t, s, monitoring, "production"), fleet.ScalingPolicyFilter{}, fleet.Page{}); err != nil || r.Total != 1 {
		t.Errorf("production alone: %d policies, %v", r.Total, err)
	}
}

// decided writes a decision as the autoscaler would.
func decided(t *testing.T, conn *pgx.Conn, d fleet.ScalingDecision) fleet.ScalingDecision {
	t.Helper()
	d.ID, d.Evaluations, d.Unit = uuid.NewString(), 3, fleet.UnitReplicas
	exec(t, conn, `INSERT INTO scaling_decisions (id, definition_id, environment, policy_id, policy_name, outcome, current_value, wanted_value, limited_value,
			unit, limited_by, reason, inputs, deployment_id, evaluations, decided_at, last_evaluated_at)
		VALUES ($1, $2, $3, nullif($4, '')::uuid, nullif($5, ''), $6, 1, 2, 3, $7, nullif($8, ''), $9, $10, nullif($11, '')::uuid, $12, $13, $14)`,
		d.ID, d.DefinitionID, d.Environment, d.PolicyID, d.PolicyName, string(d.Outcome), d.Unit, d.Limit, d.Reason, d.Inputs, d.DeploymentID,
		d.Evaluations, d.DecidedAt, d.LastEvaluatedAt)
	d.Current, d.Wanted, d.Limited = 1, 2, 3
	return d
}

func TestListScalingDecisions(t *testing.T) {
	s, db := open(t)
	conn := connect(t, db.OwnerURL)
	d := createDefinition(t, s, "api")
	deployment := deployed(t, s, d, "staging")
	p := createPolicy(t, s, policyOf(d, "load"))
	at := func(minutes int) time.Time { return testTime.Add(time.Duration(minutes) * time.Minute) }
	decision := func(outcome fleet.ScalingOutcome, environment string, from, to int) fleet.ScalingDecision {
		return fleet.ScalingDecision{
			DefinitionID: d.ID, DefinitionName: "api", Environment: environment, Outcome: outcome, Reason: "because", Inputs: []fleet.ScalingReading{},
			DecidedAt: at(from), LastEvaluatedAt: at(to),
		}
	}
	quiet := decided(t, conn, decision(fleet.OutcomeNoChange, "staging", 0, 9))
	full := decision(fleet.OutcomeScaledUp, "staging", 10, 10)
	full.PolicyID, full.PolicyName, full.DeploymentID, full.Limit = p.ID, "load", deployment.ID, fleet.LimitMaxReplicas
	full.Inputs = []fleet.ScalingReading{{
		PolicyID: p.ID, PolicyName: "load", Metric: "cpu", MetricName: "x", Value: new(90.5), Target: new(60.0), ScaleUpThreshold: new(1.0), ScaleDownThreshold: new(0.5),
		Counted: 1, Missing: 2, Unsettled: 3, Wanted: 2, Note: "a note",
	}}
	full = decided(t, conn, full)
	held := decided(t, conn, decision(fleet.OutcomeLimited, "staging", 11, 20))
	elsewhere := decided(t, conn, decision(fleet.OutcomeScaledDown, "production", 11, 11)) // at the same time
	resized := decided(t, conn, decision(fleet.OutcomeResized, "staging", 30, 30))
	same := []fleet.ScalingDecision{held, elsewhere} // by identifier, the higher first
	slices.SortFunc(same, func(a, b fleet.ScalingDecision) int { return strings.Compare(b.ID, a.ID) })
	moment := func(at time.Time) fleet.ScalingDecisionFilter {
		return fleet.ScalingDecisionFilter{Environment: "staging", From: &at, To: &at}
	}
	for name, tt := range map[string]struct {
		filter fleet.ScalingDecisionFilter
		want   []fleet.ScalingDecision
	}{
		"all":         {fleet.ScalingDecisionFilter{}, []fleet.ScalingDecision{resized, same[0], same[1], full, quiet}},
		"definition":  {fleet.ScalingDecisionFilter{DefinitionID: definitionID}, nil},
		"environment": {fleet.ScalingDecisionFilter{DefinitionID: d.ID, Environment: "production"}, []fleet.ScalingDecision{elsewhere}},
		"policy":      {fleet.ScalingDecisionFilter{PolicyID: p.ID}, []fleet.ScalingDecision{full}},
		"outcome":     {fleet.ScalingDecisionFilter{Outcome: fleet.OutcomeLimited}, []fleet.ScalingDecision{held}},
		"changes":     {fleet.ScalingDecisionFilter{Environment: "staging", Changes: true}, []fleet.ScalingDecision{resized, full}},
		"from":        {fleet.ScalingDecisionFilter{Environment: "staging", From: new(at(20))}, []fleet.ScalingDecision{resized, held}},
		"to":          {fleet.ScalingDecisionFilter{Environment: "staging", To: new(at(10))}, []fleet.ScalingDecision{full, quiet}},
		"from and to": {fleet.ScalingDecisionFilter{Environment: "staging", From: new(at(9)), To: new(at(11))}, []fleet.ScalingDecision{held, full, quiet}},
		"at a moment": {moment(at(15)), []fleet.ScalingDecision{held}},
		"at the moment of a decision, which replaces the one before": {moment(at(10)), []fleet.ScalingDecision{full}},
		"at the moment of an evaluation":                             {moment(at(9)), []fleet.ScalingDecision{quiet}},
		"between two decisions":                                      {moment(at(9).Add(30 * time.Second)), []fleet.ScalingDecision{quiet}},
		"amid one that goes on":                                      {moment(at(32)), []fleet.ScalingDecision{resized}},
		"when nothing was evaluated":                                 {moment(at(25)), nil},
		"of what has taken over from another policy":                 {fleet.ScalingDecisionFilter{PolicyID: p.ID, From: new(at(12)), To: new(at(12))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []fleet.ScalingDecision
			p := fleet.Page{Limit: 1}
			for {
				r, err := s.ListScalingDecisions(as(t, s, monitoring, "*"), tt.filter, p)
				if err != nil || r.Total != len(tt.want) {
					t.Fatalf("%d decisions, %v; want %d", r.Total, err, len(tt.want))
				}
				got = append(got, r.Items...)
				if p.Cursor = r.NextCursor; p.Cursor == "" {
					break
				}
			}
			for n := range got {
				got[n].DecidedAt, got[n].LastEvaluatedAt = got[n].DecidedAt.UTC(), got[n].LastEvaluatedAt.UTC()
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("lists %+v, want %+v", got, tt.want)
			}
		})
	}
	if r, err := s.ListScalingDecisions(as(t, s, developer, "production"), fleet.ScalingDecisionFilter{}, fleet.Page{}); err != nil || r.Total != 1 {
		t.Errorf("production alone: %d decisions, %v", r.Total, err)
	}
}

// TestWhyAtAMoment: the query of the guide and the list say the same of each moment.
func TestWhyAtAMoment(t *testing.T) {
	s, db := open(t)
	conn := connect(t, db.OwnerURL)
	d := createDefinition(t, s, "api")
	guide, err := os.ReadFile("../../docs/operations/autoscaling.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "## Why seven replicas at 14:02?\n\n```sql\n")
	query, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the guide has no query")
	}
	const moment = "'2026-06-06 14:02+01'"
	asked := time.Date(2026, time.June, 6, 13, 2, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return asked.Add(time.Duration(seconds) * time.Second) }
	// Rows as they follow each other; then nobody evaluates, and then one goes on.
	for _, row := range [][2]int{{-3600, -1800}, {-1800, -1770}, {-1770, -900}, {0, 30}, {30, 600}} {
		for _, environment := range []string{"production", "staging"} {
			decided(t, conn, fleet.ScalingDecision{DefinitionID: d.ID, Environment: environment, Outcome: fleet.OutcomeLimited, Reason: "because",
				Inputs: []fleet.ScalingReading{}, DecidedAt: at(row[0]), LastEvaluatedAt: at(row[1])})
		}
	}
	for _, tt := range []struct{ moment, decided int }{
		{-3601, 1}, {-3600, -3600}, {-1801, -3600}, {-1800, -1800}, {-1785, -1800}, {-1770, -1770}, {-900, -1770}, {-890, -1770},
		{-600, 1}, {-1, 1}, {0, 0}, {15, 0}, {30, 30}, {600, 30}, {660, 30}, {800, 1},
	} {
		want := []time.Time{at(tt.decided)}
		if tt.decided == 1 {
			want = nil // none
		}
		rows, err := conn.Query(t.Context(), "SELECT decided_at FROM ("+strings.TrimSuffix(strings.TrimSpace(strings.ReplaceAll(query, moment, "'"+at(tt.moment).Format(time.RFC3339)+"'")), ";")+") AS answer")
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
		if err != nil {
			t.Fatal(err)
		}
		same := func(a, b time.Time) bool { return a.Equal(b) }
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("%d s: the guide's query finds %v, want %v", tt.moment, got, want)
		}
		list, err := s.ListScalingDecisions(system(t), fleet.ScalingDecisionFilter{Environment: "production", From: new(at(tt.moment)), To: new(at(tt.moment))}, fleet.Page{})
		if err != nil || list.Total != len(want) || len(list.Items) != len(want) || len(want) > 0 && !list.Items[0].DecidedAt.Equal(want[0]) {
			t.Errorf("%d s: the list has %d: %+v, %v; want %v", tt.moment, list.Total, list.Items, err, want)
		}
	}
}

// TestScalingPolicyReplay: under one key a policy is made, changed and deleted once.
func TestScalingPolicyReplay(t *testing.T) {
	s, _ := open(t)
	actor := as(t, s, devops, "staging")
	d := createDefinition(t, s, "api")
	once := func(key string, f func(context.Context) (fleet.ScalingPolicy, error)) (got fleet.ScalingPolicy) {
		t.Helper()
		var first fleet.ScalingPolicy
		for n := range 2 {
			p, err := f(keyed(actor, key, "same request"))
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			if n == 1 && !reflect.DeepEqual(p, first) {
				t.Errorf("%s: %+v and then %+v", key, first, p)
			}
			first = p
		}
		return first
	}
	p := once("create", func(ctx context.Context) (fleet.ScalingPolicy, error) {
		return s.CreateScalingPolicy(ctx, policyOf(d, "load"))
	})
	calls := 0
	once("update", func(ctx context.Context) (fleet.ScalingPolicy, error) {
		return s.UpdateScalingPolicy(ctx, p.ID, func(p *fleet.ScalingPolicy) error { calls++; p.Enabled = false; return nil })
	})
	once("delete", func(ctx context.Context) (fleet.ScalingPolicy, error) {
		return fleet.ScalingPolicy{}, s.DeleteScalingPolicy(ctx, p.ID)
	})
	types := []string{fleet.EventScalingPolicyDeleted, fleet.EventScalingPolicyUpdated, fleet.EventScalingPolicyCreated}
	if got := eventTypes(t, s, fleet.EventFilter{Environment: "staging"}); calls != 1 || !slices.Equal(got, types) {
		t.Errorf("%d changes, events %v, want %v", calls, got, types)
	}
}
