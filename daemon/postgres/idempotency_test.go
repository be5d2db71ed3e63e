package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// TestSameKeyAtOnce: many that create under one key at the same time make one row, and all get it.
func TestSameKeyAtOnce(t *testing.T) {
	s, db := open(t)
	d := createDefinition(t, s, "web")
	actor := as(t, s, devops, "*")
	for name, tt := range map[string]struct {
		table  string
		create func(context.Context) (string, error)
	}{
		"definition": {"container_definitions WHERE name = 'api'", func(ctx context.Context) (string, error) {
			d, err := s.CreateDefinition(ctx, fleet.Definition{Spec: spec("api")}, nil)
			return d.ID, err
		}},
		"network": {"container_networks", func(ctx context.Context) (string, error) {
			n, err := s.CreateNetwork(ctx, fleet.Network{Name: "app", Type: fleet.NetworkInternal, Environment: "staging"}, applied)
			return n.ID, err
		}},
		"route": {"routes", func(ctx context.Context) (string, error) {
			r, err := s.CreateRoute(ctx, routeOf("shop", "shop.example.com"))
			return r.ID, err
		}},
		"deployment": {"deployment_history", func(ctx context.Context) (string, error) {
			d, err := s.CreateDeployment(ctx, deploymentOf(d, "staging"))
			return d.ID, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := keyed(actor, name, "same request")
			const n = 24
			ids := make([]string, n)
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					id, err := tt.create(ctx)
					if err != nil {
						t.Error(err)
					}
					ids[i] = id
				})
			}
			wg.Wait()
			for _, id := range ids {
				if id == "" || id != ids[0] {
					t.Errorf("answers are %v, want one identifier", ids)
					break
				}
			}
			var rows int
			if err := connect(t, db.OwnerURL).QueryRow(t.Context(), "SELECT count(*) FROM "+tt.table).Scan(&rows); err != nil || rows != 1 {
				t.Errorf("%d rows, %v; want one", rows, err)
			}
		})
	}
}

// TestReplay: each mutation is done once per key and answers the same again.
func TestReplay(t *testing.T) {
	s, _ := open(t)
	actor := as(t, s, devops, "*")
	d, n := createDefinition(t, s, "api"), createNetwork(t, s, "staging", "app")
	gone, goneNet := createDefinition(t, s, "gone"), createNetwork(t, s, "staging", "gone")
	done := map[string]int{}
	for name, f := range map[string]func(context.Context) error{
		"update definition": func(ctx context.Context) error {
			got, err := s.UpdateDefinition(ctx, d.ID, fleet.CredentialsChange{}, func(d *fleet.Definition) error {
				done["update definition"]++
				d.ImageTag = "v2"
				return nil
			})
			if err == nil && (got.ImageTag != "v2" || got.Revision != 2) {
				t.Errorf("answers %+v", got)
			}
			return err
		},
		"delete definition": func(ctx context.Context) error {
			done["delete definition"] = 1
			return s.DeleteDefinition(ctx, gone.ID)
		},
		"update network": func(ctx context.Context) error {
			got, err := s.UpdateNetwork(ctx, n.ID, func(n *fleet.Network) error { n.Subnet = "10.1.0.0/24"; return nil },
				func(context.Context, fleet.Network, fleet.Network) error { done["update network"]++; return nil })
			if err == nil && got.Subnet != "10.1.0.0/24" {
				t.Errorf("answers %+v", got)
			}
			return err
		},
		"delete network": func(ctx context.Context) error {
			return s.DeleteNetwork(ctx, goneNet.ID, func(context.Context, fleet.Network) error { done["delete network"]++; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := keyed(actor, name, "request")
			if id, found, err := s.FindReplay(ctx); err != nil || found {
				t.Errorf("found %q, %v before anything was done", id, err)
			}
			for range 3 {
				if err := f(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if done[name] != 1 {
				t.Errorf("done %d times", done[name])
			}
			if id, found, err := s.FindReplay(ctx); err != nil || !found || id == "" {
				t.Errorf("the replay is %q, %v, %v", id, found, err)
			}
			wantKind(t, f(keyed(actor, name, "another request")), fleet.ErrIdempotencyMismatch)
			_, _, err := s.FindReplay(keyed(actor, name, "another request"))
			wantKind(t, err, fleet.ErrIdempotencyMismatch)
		})
	}
}

// TestReplayOfWhatIsGone: a create answers with what it made, even after that was deleted.
func TestReplayOfWhatIsGone(t *testing.T) {
	s, _ := open(t)
	ctx := keyed(as(t, s, devops, "*"), "k", "f")
	made, err := s.CreateDefinition(ctx, fleet.Definition{Spec: spec("api")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteDefinition(system(t), made.ID); err != nil {
		t.Fatal(err)
	}
	again, err := s.CreateDefinition(ctx, fleet.Definition{Spec: spec("api")}, nil)
	if err != nil || again.ID != made.ID || again.IsActive {
		t.Errorf("answered %+v, %v", again, err)
	}
}

// TestKeysAreForgotten covers failures, which take no key, other principals, and age.
func TestKeysAreForgotten(t *testing.T) {
	s, db := open(t)
	create := func(ctx context.Context, name string) (fleet.Definition, error) {
		return s.CreateDefinition(ctx, fleet.Definition{Spec: spec(name)}, nil)
	}
	one, two := as(t, s, devops, "*"), as(t, s, devops, "*")
	createDefinition(t, s, "taken")
	_, err := create(keyed(one, "k", "f"), "taken")
	wantKind(t, err, fleet.ErrAlreadyExists)
	first, err := create(keyed(one, "k", "g"), "first") // the failure took no key
	if err != nil {
		t.Fatal(err)
	}
	second, err := create(keyed(two, "k", "h"), "second") // keys are a principal's own
	if err != nil || second.ID == first.ID {
		t.Fatalf("another principal got %+v, %v", second, err)
	}
	exec(t, connect(t, db.OwnerURL), `UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE result_id = $1`, first.ID)
	if n, err := s.PruneIdempotencyKeys(t.Context(), time.Now()); err != nil || n != 1 {
		t.Errorf("pruned %d keys, %v; want the old one", n, err)
	}
	if _, found, err := s.FindReplay(keyed(one, "k", "other")); err != nil || found {
		t.Errorf("an old key is known still, %v", err)
	}
	if _, found, err := s.FindReplay(keyed(two, "k", "h")); err != nil || !found {
		t.Errorf("a young key is forgotten, %v", err)
	}
}

// TestConcurrentKeyAfterFailure: who waits for a key whose holder fails does the work itself.
func TestConcurrentKeyAfterFailure(t *testing.T) {
	s, _ := open(t)
	ctx := keyed(as(t, s, devops, "*"), "k", "f")
	entered, proceed, boom := make(chan struct{}), make(chan struct{}), errors.New("boom")
	n := fleet.Network{Name: "app", Type: fleet.NetworkInternal, Environment: "staging"}
	failed, made := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.CreateNetwork(ctx, n, func(context.Context, fleet.Network) error { close(entered); <-proceed; return boom })
		failed <- err
	}()
	<-entered
	go func() {
		_, err := s.CreateNetwork(ctx, n, applied)
		made <- err
	}()
	close(proceed)
	wantKind(t, <-failed, boom)
	if err := <-made; err != nil {
		t.Errorf("the second try answered %v", err)
	}
}
