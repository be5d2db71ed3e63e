package certificates

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store keeps what belongs to certificates, encrypted.
type Store interface {
	// StoreCertificate keeps a value under a key, in place of an earlier one.
	StoreCertificate(ctx context.Context, key string, value []byte) error
	// LoadCertificate is the value of a key; ErrNotFound without one.
	LoadCertificate(ctx context.Context, key string) ([]byte, error)
	// ListCertificates lists a key itself and those below it, in order.
	ListCertificates(ctx context.Context, key string) ([]fleet.StoredCertificate, error)
	// DeleteCertificates removes a key and those below it.
	DeleteCertificates(ctx context.Context, key string) error
	// LeaseCertificates takes a lock for its holder, or prolongs it; false while
	// somebody else's has not run out.
	LeaseCertificates(ctx context.Context, name, holder string, lease time.Duration) (bool, error)
	// ReleaseCertificates gives the holder's lock back.
	ReleaseCertificates(ctx context.Context, name, holder string) error
}

const (
	// lockLease is how long a lock outlives a daemon that died with it.
	lockLease = time.Minute
	// lockPoll is the time between two tries to get a lock.
	lockPoll = 500 * time.Millisecond
)

// Storage is a Store as certmagic sees it.
type Storage struct {
	store Store

	mu   sync.Mutex
	held map[string]*held
}

// held is a lock that this process has.
type held struct {
	holder string
	stop   context.CancelFunc
	ended  chan struct{}
}

var (
	_ certmagic.Storage   = (*Storage)(nil)
	_ certmagic.TryLocker = (*Storage)(nil)
)

// NewStorage makes a Storage.
func NewStorage(s Store) *Storage { return &Storage{store: s, held: make(map[string]*held)} }

// String is what certmagic logs of it: nothing of what is inside, which may be changing.
func (s *Storage) String() string { return "database" }

// Store implements certmagic.Storage.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	return s.store.StoreCertificate(fleet.AsSystem(ctx), key, value)
}

// Load implements certmagic.Storage.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := s.store.LoadCertificate(fleet.AsSystem(ctx), key)
	if errors.Is(err, fleet.ErrNotFound) {
		return nil, fmt.Errorf("load %s: %w", key, fs.ErrNotExist)
	}
	return value, err
}

// Delete implements certmagic.Storage.
func (s *Storage) Delete(ctx context.Context, key string) error {
	return s.store.DeleteCertificates(fleet.AsSystem(ctx), key)
}

// Exists implements certmagic.Storage.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage.
func (s *Storage) List(ctx context.Context, dir string, recursive bool) ([]string, error) {
	found, err := s.store.ListCertificates(fleet.AsSystem(ctx), dir)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, c := range found {
		below, ok := strings.CutPrefix(c.Key, dir+"/")
		if dir == "" {
			below, ok = c.Key, true
		}
		if !ok {
			continue
		}
		key := c.Key
		if !recursive {
			first, _, _ := strings.Cut(below, "/")
			key = path.Join(dir, first)
		}
		if n := len(keys); n == 0 || keys[n-1] != key {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("list %s: %w", dir, fs.ErrNotExist)
	}
	return keys, nil
}

// Stat implements certmagic.Storage.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	var none certmagic.KeyInfo
	found, err := s.store.ListCertificates(fleet.AsSystem(ctx), key)
	if err != nil {
		return none, err
	}
	for _, c := range found {
		if c.Key == key {
			return certmagic.KeyInfo{Key: key, Modified: c.ModifiedAt, Size: c.Size, IsTerminal: true}, nil
		}
	}
	if len(found) > 0 {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return none, fmt.Errorf("stat %s: %w", key, fs.ErrNotExist)
}

// Lock implements certmagic.Storage. The lock is prolonged until Unlock.
func (s *Storage) Lock(ctx context.Context, name string) error {
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		ok, err := s.TryLock(ctx, name)
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// TryLock implements certmagic.TryLocker.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails
	h := &held{holder: hex.EncodeToString(raw[:]), ended: make(chan struct{})}
	ok, err := s.store.LeaseCertificates(fleet.AsSystem(ctx), name, h.holder, lockLease)
	if !ok || err != nil {
		return false, err
	}
	keeping, stop := context.WithCancel(fleet.AsSystem(context.WithoutCancel(ctx)))
	h.stop = stop
	s.mu.Lock()
	s.held[name] = h
	s.mu.Unlock()
	go s.keep(keeping, name, h)
	return true, nil
}

// keep prolongs a lock. One that cannot be prolonged is let go by the database
// after its lease; the worst that follows is a certificate ordered twice.
func (s *Storage) keep(ctx context.Context, name string, h *held) {
	defer close(h.ended)
	ticker := time.NewTicker(lockLease / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if ok, err := s.store.LeaseCertificates(ctx, name, h.holder, lockLease); err == nil && !ok {
				return
			}
		}
	}
}

// Unlock implements certmagic.Storage.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if h == nil {
		return fmt.Errorf("unlock %s: it is not locked", name)
	}
	h.stop()
	<-h.ended
	return s.store.ReleaseCertificates(fleet.AsSystem(context.WithoutCancel(ctx)), name, h.holder)
}
