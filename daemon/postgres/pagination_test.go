package postgres_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const manyRows = 10_000

// manyInstances writes rows directly, half of them into each environment, and a
// tenth terminated ones besides.
func manyInstances(t testing.TB, conn *pgx.Conn, d fleet.Deployment, n int) {
	t.Helper()
	rows := make([][]any, 0, n+n/10)
	for i := range n + n/10 {
		status := "running"
		if i >= n {
			status = "terminated"
		}
		id := uuid.Must(uuid.NewV7()).String()
		rows = append(rows, []any{
			id, d.DefinitionID, d.ID, seedEnvironments[i%2], "c-" + id, fmt.Sprintf("api-%d", i), "v1", "sha256:1", status, "running", i,
		})
	}
	_, err := conn.CopyFrom(t.Context(), pgx.Identifier{"container_instances"}, []string{
		"id", "definition_id", "deployment_id", "environment", "container_id", "instance_name", "image_tag", "image_digest",
		"current_status", "desired_status", "replica_number",
	}, pgx.CopyFromRows(rows))
	if err != nil {
		t.Fatalf("write instances: %v", err)
	}
	exec(t, conn, "ANALYZE container_instances")
}

// TestPagesWhileRowsComeAndGo walks 10,000 rows while others are added and end:
// each row that stays is seen exactly once.
func TestPagesWhileRowsComeAndGo(t *testing.T) {
	s, db := open(t)
	d := deploymentIn(t, s, "staging")
	conn := connect(t, db.OwnerURL)
	manyInstances(t, conn, d, manyRows)
	seen := map[string]int{}
	page := fleet.Page{Limit: 700}
	for pages := 0; ; pages++ {
		r, err := s.ListInstances(system(t), fleet.InstanceFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range r.Items {
			seen[i.ID]++
		}
		if want := manyRows + pages; r.Total != want {
			t.Errorf("page %d says %d rows, want %d", pages, r.Total, want)
		}
		if r.NextCursor == "" {
			break
		}
		page.Cursor = r.NextCursor
		added(t, s, newInstance(d, 1)) // newer than all pages
	}
	if len(seen) != manyRows {
		t.Errorf("saw %d rows, want %d", len(seen), manyRows)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("saw %s %d times", id, n)
		}
	}
}

// TestPagesByName walks definitions while names are added before and behind the cursor.
func TestPagesByName(t *testing.T) {
	s, _ := open(t)
	var want []string
	for n := range 25 {
		want = append(want, createDefinition(t, s, fmt.Sprintf("m-%02d", n)).Name)
	}
	var got []string
	page := fleet.Page{Limit: 10}
	for n := 0; ; n++ {
		r, err := s.ListDefinitions(system(t), fleet.DefinitionFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Items {
			got = append(got, d.Name)
		}
		if r.NextCursor == "" {
			break
		}
		page.Cursor = r.NextCursor
		createDefinition(t, s, fmt.Sprintf("a-%02d", n)) // before the cursor
	}
	if !slices.Equal(got, want) {
		t.Errorf("saw %v, want %v", got, want)
	}
	r, err := s.ListDefinitions(system(t), fleet.DefinitionFilter{ServiceName: "m-03"}, fleet.Page{})
	if err != nil || r.Total != 1 || r.NextCursor != "" || r.Items[0].Name != "m-03" {
		t.Errorf("filtered to %+v, %v", r, err)
	}
}

func TestPageBounds(t *testing.T) {
	s, _ := open(t)
	for n := range 3 {
		createNetwork(t, s, "staging", fmt.Sprintf("n%d", n))
	}
	for limit, want := range map[int]int{0: 3, -5: 1, 1: 1, 3: 3, 5000: 3} {
		r, err := s.ListNetworks(system(t), fleet.NetworkFilter{}, fleet.Page{Limit: limit})
		if err != nil || len(r.Items) != want || r.Total != 3 || (r.NextCursor == "") != (want == 3) {
			t.Errorf("limit %d gives %d of %d rows, cursor %q, %v; want %d", limit, len(r.Items), r.Total, r.NextCursor, err, want)
		}
	}
}

func TestBadCursors(t *testing.T) {
	s, _ := open(t)
	encode := base64.RawURLEncoding.EncodeToString
	for name, cursor := range map[string]string{
		"not base64": "%%%",
		"not JSON":   encode([]byte("hello")),
		"no key":     encode([]byte(`{}`)),
		"not a UUID": encode([]byte(`{"i":"1' OR '1'='1"}`)),
		"other type": encode([]byte(`{"i":7}`)),
		"truncated":  encode([]byte(`{"i":"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a1`)),
	} {
		t.Run(name, func(t *testing.T) {
			p := fleet.Page{Cursor: cursor}
			_, err := s.ListInstances(system(t), fleet.InstanceFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
			_, err = s.ListDefinitions(system(t), fleet.DefinitionFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
			_, err = s.ListNetworks(system(t), fleet.NetworkFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
			_, err = s.ListRoutes(system(t), fleet.RouteFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
			_, err = s.ListDeployments(system(t), fleet.DeploymentFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
			_, err = s.ListScalingPolicies(system(t), fleet.ScalingPolicyFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
			_, err = s.ListScalingDecisions(system(t), fleet.ScalingDecisionFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
			_, err = s.ListEvents(system(t), fleet.EventFilter{}, p)
			wantField(t, err, fleet.ErrInvalid, "cursor")
		})
	}
}

// TestForeignCursor: a cursor of a list by name is none of a list by time.
func TestForeignCursor(t *testing.T) {
	s, _ := open(t)
	cursor := base64.RawURLEncoding.EncodeToString([]byte(`{"k":"shop","i":"` + definitionID + `"}`))
	_, err := s.ListScalingDecisions(system(t), fleet.ScalingDecisionFilter{}, fleet.Page{Cursor: cursor})
	wantField(t, err, fleet.ErrInvalid, "cursor")
}

func TestListEvents(t *testing.T) {
	s, db := open(t)
	d := createDefinition(t, s, "api")
	n := createNetwork(t, s, "production", "app")
	deployment := deployed(t, s, d, "staging")
	i := added(t, s, newInstance(deployment, 1))[0]
	exec(t, connect(t, db.OwnerURL), `UPDATE container_events SET timestamp = '2020-01-01' WHERE event_type = 'definition_created'`)
	for name, tt := range map[string]struct {
		filter fleet.EventFilter
		want   []string
	}{
		"all":         {fleet.EventFilter{}, []string{fleet.EventCreated, fleet.EventDeploymentStarted, fleet.EventNetworkCreated, fleet.EventDefinitionCreated}},
		"instance":    {fleet.EventFilter{InstanceID: i.ID}, []string{fleet.EventCreated}},
		"definition":  {fleet.EventFilter{DefinitionID: d.ID}, []string{fleet.EventCreated, fleet.EventDeploymentStarted, fleet.EventDefinitionCreated}},
		"deployment":  {fleet.EventFilter{DeploymentID: deployment.ID}, []string{fleet.EventCreated, fleet.EventDeploymentStarted}},
		"network":     {fleet.EventFilter{NetworkID: n.ID}, []string{fleet.EventNetworkCreated}},
		"environment": {fleet.EventFilter{Environment: "production"}, []string{fleet.EventNetworkCreated}},
		"type":        {fleet.EventFilter{Type: fleet.EventDefinitionCreated}, []string{fleet.EventDefinitionCreated}},
		"since":       {fleet.EventFilter{DefinitionID: d.ID, Since: testTime.AddDate(-1, 0, 0)}, []string{fleet.EventCreated, fleet.EventDeploymentStarted}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := eventTypes(t, s, tt.filter); !slices.Equal(got, tt.want) {
				t.Errorf("listed %v, want %v", got, tt.want)
			}
		})
	}
}
