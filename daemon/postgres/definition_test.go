package postgres_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var testTime = time.Date(2026, 6, 6, 8, 30, 0, 123456000, time.UTC)

func TestDefinitionRoundTrip(t *testing.T) {
	s, _ := open(t)
	ctx := as(t, s, devops, "*")
	created, err := s.CreateDefinition(ctx, fleet.Definition{Spec: spec("api")}, &fleet.RegistryCredentials{Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	call, _ := fleet.CallFrom(ctx)
	if !reflect.DeepEqual(created.Spec, spec("api")) {
		t.Errorf("spec is %+v, want %+v", created.Spec, spec("api"))
	}
	if created.Revision != 1 || !created.IsActive || !created.HasCredentials || created.CreatedBy != call.Principal.ID {
		t.Errorf("created %+v", created)
	}
	read, err := s.Definition(ctx, created.ID)
	if err != nil || !reflect.DeepEqual(read, created) {
		t.Errorf("read %+v, %v; want %+v", read, err, created)
	}
	if read.CreatedAt.Location() != time.UTC {
		t.Errorf("times are in %v", read.CreatedAt.Location())
	}
	credentials, err := s.RegistryCredentials(ctx, created.ID)
	if err != nil || credentials == nil || credentials.Password != "p" {
		t.Errorf("credentials are %v, %v", credentials, err)
	}
}

func TestDefinitionWithLeastFields(t *testing.T) {
	s, _ := open(t)
	least := fleet.Spec{Name: "least", ServiceName: "least", ImageName: "x", ImageTag: "latest"}
	d, err := s.CreateDefinition(system(t), fleet.Definition{Spec: least}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.HealthCheck != nil || d.HasCredentials || d.RegistryURL != "" || d.Environment == nil || d.Volumes == nil {
		t.Errorf("created %+v", d)
	}
	credentials, err := s.RegistryCredentials(system(t), d.ID)
	if credentials != nil || err != nil {
		t.Errorf("credentials are %v, %v, want none", credentials, err)
	}
}

func TestDefinitionNames(t *testing.T) {
	s, _ := open(t)
	first := createDefinition(t, s, "api")
	second := createDefinition(t, s, "web")
	_, err := s.CreateDefinition(system(t), fleet.Definition{Spec: spec("api")}, nil)
	wantField(t, err, fleet.ErrAlreadyExists, "name")
	_, err = s.UpdateDefinition(system(t), second.ID, fleet.CredentialsChange{}, func(d *fleet.Definition) error { d.Name = "api"; return nil })
	wantField(t, err, fleet.ErrAlreadyExists, "name")
	if err := s.DeleteDefinition(system(t), first.ID); err != nil {
		t.Fatal(err)
	}
	createDefinition(t, s, "api") // the name is free again
	_, err = s.Definition(system(t), first.ID)
	wantKind(t, err, fleet.ErrNotFound)
	wantKind(t, s.DeleteDefinition(system(t), first.ID), fleet.ErrNotFound)
}

func wantField(t *testing.T, err, kind error, field string) {
	t.Helper()
	wantKind(t, err, kind)
	var e *fleet.Error
	if !errors.As(err, &e) || e.Field != field {
		t.Errorf("error is %#v, want field %s", err, field)
	}
}

func TestUpdateDefinition(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	keep := fleet.CredentialsChange{}
	secret := fleet.CredentialsChange{Set: true, Value: &fleet.RegistryCredentials{Username: "u", Password: "p"}}
	change := func(f func(*fleet.Definition)) func(*fleet.Definition) error {
		return func(d *fleet.Definition) error { f(d); return nil }
	}
	for _, step := range []struct {
		name        string
		credentials fleet.CredentialsChange
		change      func(*fleet.Definition) error
		revision    int
		changed     []string
		has         bool
	}{
		{"nothing", keep, change(func(*fleet.Definition) {}), 1, nil, false},
		{"tag and env", keep, change(func(d *fleet.Definition) {
			d.ImageTag = "v2"
			d.Environment = map[string]string{"PASSWORD": "hunter2"}
		}), 2, []string{"environment_config", "image_tag"}, false},
		{"no check", keep, change(func(d *fleet.Definition) { d.HealthCheck = nil }), 3, []string{"health_check_config"}, false},
		{"credentials", secret, change(func(*fleet.Definition) {}), 4, []string{"registry_credentials"}, true},
		{"same credentials", secret, change(func(*fleet.Definition) {}), 4, nil, true},
		{"credentials stay", keep, change(func(d *fleet.Definition) { d.RegistryURL = "" }), 5, []string{"registry_url"}, true},
		{"credentials removed", fleet.CredentialsChange{Set: true}, change(func(*fleet.Definition) {}), 6, []string{"registry_credentials"}, false},
	} {
		t.Run(step.name, func(t *testing.T) {
			before := len(eventTypes(t, s, fleet.EventFilter{DefinitionID: d.ID}))
			got, err := s.UpdateDefinition(system(t), d.ID, step.credentials, step.change)
			if err != nil {
				t.Fatal(err)
			}
			if got.Revision != step.revision || got.HasCredentials != step.has {
				t.Errorf("revision %d, credentials %v; want %d, %v", got.Revision, got.HasCredentials, step.revision, step.has)
			}
			read, err := s.Definition(system(t), d.ID)
			if err != nil || !reflect.DeepEqual(read, got) {
				t.Errorf("read %+v, %v; returned %+v", read, err, got)
			}
			events, err := s.ListEvents(system(t), fleet.EventFilter{DefinitionID: d.ID}, fleet.Page{})
			if err != nil {
				t.Fatal(err)
			}
			if step.changed == nil {
				if len(events.Items) != before {
					t.Errorf("an update of nothing wrote %+v", events.Items[0])
				}
				return
			}
			var changed []string
			for _, f := range events.Items[0].Data["changed"].([]any) {
				changed = append(changed, f.(string))
			}
			if !slices.Equal(changed, step.changed) {
				t.Errorf("event says %v changed, want %v", changed, step.changed)
			}
		})
	}
	boom := errors.New("boom")
	_, err := s.UpdateDefinition(system(t), d.ID, keep, func(d *fleet.Definition) error { d.ImageTag = "v9"; return boom })
	wantKind(t, err, boom)
	if read, _ := s.Definition(system(t), d.ID); read.ImageTag == "v9" {
		t.Error("a change that failed was written")
	}
}

func TestDeleteDefinitionInUse(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	first := deployed(t, s, d, "staging")
	wantKind(t, s.DeleteDefinition(system(t), d.ID), fleet.ErrInUse)
	completed(t, s, first.ID)
	wantKind(t, s.DeleteDefinition(system(t), d.ID), fleet.ErrInUse)
	removal := deploymentOf(d, "staging")
	removal.Removal, removal.After = true, 0
	removed, err := s.CreateDeployment(system(t), removal)
	if err != nil {
		t.Fatal(err)
	}
	i := added(t, s, newInstance(removed, 1))[0]
	completed(t, s, removed.ID)
	wantKind(t, s.DeleteDefinition(system(t), d.ID), fleet.ErrInUse) // an instance is left
	if _, err := s.UpdateInstance(system(t), i.ID, func(i *fleet.Instance) ([]fleet.Event, error) {
		i.Current, i.Desired = fleet.StatusTerminated, fleet.StatusTerminated
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteDefinition(system(t), d.ID); err != nil {
		t.Error(err)
	}
	// History and trail keep what they refer to.
	if got, err := s.Deployment(system(t), first.ID); err != nil || got.DefinitionName != "api" {
		t.Errorf("deployment reads %+v, %v", got, err)
	}
}

// TestSecretsStayOut looks for a password in every column of every table.
func TestSecretsStayOut(t *testing.T) {
	s, db := open(t)
	const password = "correct-horse-battery"
	ctx := as(t, s, admin, "*")
	credentials := &fleet.RegistryCredentials{Username: "deploy", Password: password}
	d, err := s.CreateDefinition(keyed(ctx, "k", "f"), fleet.Definition{Spec: spec("api")}, credentials)
	if err != nil {
		t.Fatal(err)
	}
	completed(t, s, deployed(t, s, d, "staging").ID)
	if _, err := s.UpdateDefinition(ctx, d.ID, fleet.CredentialsChange{Set: true, Value: &fleet.RegistryCredentials{Username: "other", Password: password}},
		func(d *fleet.Definition) error { d.ImageTag = "v2"; return nil }); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db.OwnerURL)
	rows, err := conn.Query(t.Context(), `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		var found int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` r WHERE strpos(r::text, $1) > 0
			OR strpos(r::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0`, password).Scan(&found)
		if err != nil || found != 0 {
			t.Errorf("%s has the password in %d rows, %v", table, found, err)
		}
	}
	var sealed []byte
	if err := conn.QueryRow(t.Context(), `SELECT registry_credentials FROM container_definitions`).Scan(&sealed); err != nil || len(sealed) == 0 {
		t.Fatalf("nothing is stored: %v", err)
	}
	if bytes.Contains(sealed, []byte("other")) {
		t.Error("the user name is in plain text")
	}
	// What was sealed for one definition does not open for another.
	other := createDefinition(t, s, "web")
	exec(t, conn, `UPDATE container_definitions SET registry_credentials = $1 WHERE id = $2`, sealed, other.ID)
	if c, err := s.RegistryCredentials(ctx, other.ID); err == nil {
		t.Errorf("credentials moved to another definition open as %v", c)
	}
}

func TestRolesAtTheStore(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	deployed(t, s, d, "staging")
	for _, role := range []fleet.Role{developer, monitoring} {
		ctx := as(t, s, role, "*")
		_, err := s.CreateDefinition(ctx, fleet.Definition{Spec: spec("mine")}, nil)
		wantKind(t, err, fleet.ErrForbidden)
		_, err = s.UpdateDefinition(ctx, d.ID, fleet.CredentialsChange{}, func(d *fleet.Definition) error { d.ImageTag = "v9"; return nil })
		wantKind(t, err, fleet.ErrNotFound)
		_, err = s.CreateDeployment(ctx, deploymentOf(d, "staging"))
		wantKind(t, err, fleet.ErrNotFound)
		if got, err := s.ListTokens(ctx); err != nil || len(got) != 0 {
			t.Errorf("%s reads %d tokens, %v", role, len(got), err)
		}
	}
	elsewhere := as(t, s, devops, "production")
	_, err := s.CreateDeployment(elsewhere, deploymentOf(d, "staging"))
	wantKind(t, err, fleet.ErrForbidden)
	if r, err := s.ListDeployments(elsewhere, fleet.DeploymentFilter{}, fleet.Page{}); err != nil || r.Total != 0 || len(r.Items) != 0 {
		t.Errorf("reads %+v of another environment, %v", r, err)
	}
}
