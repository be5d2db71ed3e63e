package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

const (
	// cacheFor is how long a token that was found is trusted without asking again:
	// the longest time that a revoked token goes on working.
	cacheFor = 2 * time.Second
	// cacheSize bounds the tokens remembered.
	cacheSize = 10_000
	// touchEvery is how often the use of a token is noted.
	touchEvery = time.Minute
	// bootstrapName is the principal of the first administrator's token.
	bootstrapName = "admin"
	// minBootstrapLength is the least length of a bootstrap token that an operator chooses.
	minBootstrapLength = 24
)

// Tokens makes, checks and revokes tokens.
type Tokens struct {
	store Store
	now   func() time.Time
	mu    sync.Mutex
	cache map[[sha256.Size]byte]cached
}

type cached struct {
	token   fleet.Token
	until   time.Time
	touched time.Time
}

// NewTokens makes a Tokens over a store.
func NewTokens(store Store) *Tokens {
	return &Tokens{store: store, now: time.Now, cache: make(map[[sha256.Size]byte]cached)}
}

// Authenticate returns the principal of a token. Any token that is not valid
// gives the same ErrUnauthenticated, whatever the reason.
func (t *Tokens) Authenticate(ctx context.Context, secret string) (fleet.Principal, error) {
	if secret == "" || len(secret) > 512 {
		return fleet.Principal{}, fleet.ErrUnauthenticated
	}
	key := [sha256.Size]byte(Hash(secret))
	now := t.now()
	entry, ok := t.remembered(key, now)
	if !ok {
		token, err := t.store.TokenByHash(ctx, key[:])
		if errors.Is(err, fleet.ErrNotFound) {
			return fleet.Principal{}, fleet.ErrUnauthenticated
		}
		if err != nil {
			return fleet.Principal{}, fmt.Errorf("look up token: %w", err)
		}
		entry.token, entry.until = token, now.Add(cacheFor)
	}
	if !valid(entry.token, now) {
		return fleet.Principal{}, fleet.ErrUnauthenticated
	}
	if now.Sub(entry.touched) >= touchEvery {
		entry.touched = now
		// That a use goes unnoted is no reason to refuse it.
		_ = t.store.TouchToken(fleet.WithCall(ctx, fleet.Call{Principal: fleet.System}), entry.token.ID, now)
	}
	t.remember(key, entry, now)
	return entry.token.Principal, nil
}

func valid(t fleet.Token, now time.Time) bool {
	return t.RevokedAt == nil && (t.ExpiresAt == nil || now.Before(*t.ExpiresAt))
}

func (t *Tokens) remembered(key [sha256.Size]byte, now time.Time) (cached, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, ok := t.cache[key]
	return entry, ok && now.Before(entry.until)
}

func (t *Tokens) remember(key [sha256.Size]byte, entry cached, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.cache) >= cacheSize {
		for k, e := range t.cache {
			if !now.Before(e.until) {
				delete(t.cache, k)
			}
		}
		if len(t.cache) >= cacheSize {
			clear(t.cache)
		}
	}
	t.cache[key] = entry
}

// Grant describes a token to make.
type Grant struct {
	Name         string
	Role         fleet.Role
	Environments []string
	ExpiresAt    *time.Time
}

// Check finds what is wrong with a grant; known are the configured environments.
func (g Grant) Check(known []string) error {
	if err := grammar.Name(g.Name); err != nil {
		return fleet.FieldErrorf(fleet.ErrInvalid, "name", "name %v", err)
	}
	if !slices.Contains(fleet.Roles, g.Role) {
		return fleet.FieldErrorf(fleet.ErrInvalid, "role", "role %q is unknown; use %s", g.Role, list(fleet.Roles))
	}
	if len(g.Environments) == 0 {
		return fleet.FieldErrorf(fleet.ErrInvalid, "environments", "environments must not be empty; use %s or %s", list(known), fleet.AllEnvironments)
	}
	for _, e := range g.Environments {
		if e != fleet.AllEnvironments && !slices.Contains(known, e) {
			return fleet.FieldErrorf(fleet.ErrInvalid, "environments", "environment %q is unknown; use %s or %s for all", e, list(known), fleet.AllEnvironments)
		}
	}
	return nil
}

func list[S ~string](names []S) string {
	words := make([]string, len(names))
	for k, n := range names {
		words[k] = string(n)
	}
	return strings.Join(words, ", ")
}

// Create makes a token and returns its secret, which is nowhere to be had again.
func (t *Tokens) Create(ctx context.Context, g Grant) (secret string, token fleet.Token, err error) {
	secret, err = NewSecret()
	if err != nil {
		return "", fleet.Token{}, err
	}
	token, err = t.store.CreateToken(ctx, g.token(secret), Hash(secret))
	return secret, token, err
}

func (g Grant) token(secret string) fleet.Token {
	return fleet.Token{
		Principal: fleet.Principal{Name: g.Name, Role: g.Role, Environments: g.Environments},
		Prefix:    visible(secret),
		ExpiresAt: g.ExpiresAt,
	}
}

// List lists all tokens.
func (t *Tokens) List(ctx context.Context) ([]fleet.Token, error) { return t.store.ListTokens(ctx) }

// Revoke ends a token; it may go on working for two seconds in a daemon that has just used it.
func (t *Tokens) Revoke(ctx context.Context, idOrName string) (fleet.Token, error) {
	return t.store.RevokeToken(ctx, idOrName)
}

// EnsureBootstrap makes sure that the given secret is the token of an
// administrator of all environments, replacing the bootstrap token of an earlier start.
func (t *Tokens) EnsureBootstrap(ctx context.Context, secret string) error {
	if len(secret) < minBootstrapLength || len(secret) > 512 || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("bootstrap token is unfit: use %d to 512 visible ASCII characters, for example the output of: openssl rand -hex 24", minBootstrapLength)
	}
	existing, err := t.store.TokenByHash(ctx, Hash(secret))
	switch {
	case err == nil && valid(existing, t.now()):
		return nil
	case err == nil:
		return fmt.Errorf("bootstrap token %s… was revoked: choose another", visible(secret))
	case !errors.Is(err, fleet.ErrNotFound):
		return fmt.Errorf("look up bootstrap token: %w", err)
	}
	ctx = fleet.AsSystem(ctx)
	if _, err := t.store.RevokeToken(ctx, bootstrapName); err != nil && !errors.Is(err, fleet.ErrNotFound) {
		return fmt.Errorf("replace bootstrap token: %w", err)
	}
	g := Grant{Name: bootstrapName, Role: fleet.RoleSystemAdmin, Environments: []string{fleet.AllEnvironments}}
	if _, err := t.store.CreateToken(ctx, g.token(secret), Hash(secret)); err != nil {
		return fmt.Errorf("store bootstrap token: %w", err)
	}
	return nil
}
