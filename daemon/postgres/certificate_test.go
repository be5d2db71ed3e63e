package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic/certificates"
)

var _ certificates.Store = (*postgres.Store)(nil)

func TestCertificatesAreSealed(t *testing.T) {
	s, db := open(t)
	secret := []byte("-----BEGIN PRIVATE KEY-----")
	if err := s.StoreCertificate(system(t), "acme/a.key", secret); err != nil {
		t.Fatal(err)
	}
	if got, err := s.LoadCertificate(system(t), "acme/a.key"); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("loaded %q, %v", got, err)
	}
	conn := connect(t, db.OwnerURL)
	var stored []byte
	if err := conn.QueryRow(t.Context(), `SELECT value FROM certificates`).Scan(&stored); err != nil || bytes.Contains(stored, []byte("PRIVATE")) {
		t.Errorf("stored %q, %v", stored, err)
	}
	// What was sealed for one key does not open under another, nor with another secret key.
	exec(t, conn, `INSERT INTO certificates (key, value) SELECT 'acme/b.key', value FROM certificates`)
	if got, err := s.LoadCertificate(system(t), "acme/b.key"); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("a value that was moved: %q, %v", got, err)
	}
	other, err := postgres.Open(t.Context(), postgres.Config{
		URL: db.AppURL, SecretKey: slices.Repeat([]byte{8}, postgres.SecretKeySize), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	if got, err := other.LoadCertificate(system(t), "acme/a.key"); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("with another secret key: %q, %v", got, err)
	}
}

// TestCertificateStorage is what certmagic asks of a storage.
func TestCertificateStorage(t *testing.T) {
	s, _ := open(t)
	m := certificates.NewStorage(s)
	ctx := t.Context()
	for _, key := range []string{"a/b", "a/b/c", "a/bc", "a/d/e", "a_/x", "a%/x"} {
		if err := m.Store(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Store(ctx, "a/b", []byte("anew")); err != nil {
		t.Fatal(err)
	}
	if v, err := m.Load(ctx, "a/b"); err != nil || string(v) != "anew" {
		t.Errorf("loaded %q, %v", v, err)
	}
	if _, err := m.Load(ctx, "a/d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was loaded: %v", err)
	}
	for dir, want := range map[string][2][]string{
		"a":    {{"a/b", "a/bc", "a/d"}, {"a/b", "a/b/c", "a/bc", "a/d/e"}},
		"a/b":  {{"a/b/c"}, {"a/b/c"}},
		"a_":   {{"a_/x"}, {"a_/x"}},
		"none": {nil, nil},
	} {
		for k, recursive := range []bool{false, true} {
			got, err := m.List(ctx, dir, recursive)
			if !slices.Equal(got, want[k]) || (want[k] == nil) != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("list %s (recursive: %t): %v, %v; want %v", dir, recursive, got, err, want[k])
			}
		}
	}
	if info, err := m.Stat(ctx, "a/b"); err != nil || info.Size != 4 || !info.IsTerminal || time.Since(info.Modified) > time.Minute {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := m.Stat(ctx, "a/d"); err != nil || info.IsTerminal {
		t.Errorf("%+v, %v", info, err)
	}
	if !m.Exists(ctx, "a/d") || m.Exists(ctx, "a/dd") {
		t.Error("what exists and what does not are mixed up")
	}
	if err := errors.Join(m.Delete(ctx, "a/b"), m.Delete(ctx, "none")); err != nil {
		t.Fatal(err)
	}
	if got, err := m.List(ctx, "a", true); err != nil || !slices.Equal(got, []string{"a/bc", "a/d/e"}) {
		t.Errorf("after a delete: %v, %v", got, err)
	}
}

// TestCertificateLocks: one holder at a time, among processes, and none that has died.
func TestCertificateLocks(t *testing.T) {
	s, db := open(t)
	one, two := certificates.NewStorage(s), certificates.NewStorage(openURL(t, db.AppURL))
	var inside atomic.Int32
	var group sync.WaitGroup
	other := map[*certificates.Storage]*certificates.Storage{one: two, two: one}
	for _, m := range []*certificates.Storage{one, two, one, two} {
		group.Go(func() {
			if err := m.Lock(t.Context(), "host"); err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) != 1 {
				t.Error("two hold the lock")
			}
			if ok, err := other[m].TryLock(t.Context(), "host"); ok || err != nil {
				t.Errorf("another process gets a lock that is held: %t, %v", ok, err)
			}
			inside.Add(-1)
			if err := m.Unlock(t.Context(), "host"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := one.Lock(t.Context(), "host"); err != nil {
		t.Fatal(err)
	}
	if ok, err := two.TryLock(t.Context(), "host"); ok || err != nil {
		t.Errorf("a lock that is held: %t, %v", ok, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := two.Lock(ctx, "host"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting without end: %v", err)
	}
	exec(t, connect(t, db.OwnerURL), `UPDATE certificate_locks SET expires_at = now() - interval '1 second'`)
	if ok, err := two.TryLock(t.Context(), "host"); !ok || err != nil {
		t.Errorf("a lock that has run out: %t, %v", ok, err)
	}
	// Who lost it does not release the other's.
	if err := one.Unlock(t.Context(), "host"); err != nil {
		t.Error(err)
	}
	if ok, err := one.TryLock(t.Context(), "host"); ok || err != nil {
		t.Errorf("a lock that is held: %t, %v", ok, err)
	}
	if err := two.Unlock(t.Context(), "host"); err != nil {
		t.Error(err)
	}
	if err := two.Unlock(t.Context(), "host"); err == nil {
		t.Error("what is not locked was unlocked")
	}
}
