package access_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/access"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// store keeps tokens in memory and counts look-ups.
type store struct {
	tokens  []fleet.Token
	hashes  [][]byte
	lookups int
}

func (s *store) TokenByHash(_ context.Context, hash []byte) (fleet.Token, error) {
	s.lookups++
	for k, h := range s.hashes {
		if bytes.Equal(h, hash) {
			return s.tokens[k], nil
		}
	}
	return fleet.Token{}, fleet.ErrNotFound
}

func (s *store) TouchToken(_ context.Context, id string, at time.Time) error {
	for k := range s.tokens {
		if s.tokens[k].ID == id {
			s.tokens[k].LastUsedAt = &at
		}
	}
	return nil
}

func (s *store) CreateToken(_ context.Context, t fleet.Token, hash []byte) (fleet.Token, error) {
	t.ID = strings.Repeat("i", len(s.tokens)+1)
	s.tokens, s.hashes = append(s.tokens, t), append(s.hashes, hash)
	return t, nil
}

func (s *store) ListTokens(context.Context) ([]fleet.Token, error) { return s.tokens, nil }

func (s *store) RevokeToken(_ context.Context, idOrName string) (fleet.Token, error) {
	for k := range s.tokens {
		if t := &s.tokens[k]; t.RevokedAt == nil && (t.ID == idOrName || t.Principal.Name == idOrName) {
			now := time.Now()
			t.RevokedAt = &now
			return *t, nil
		}
	}
	return fleet.Token{}, fleet.ErrNotFound
}

func TestSecretForm(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		secret, err := access.NewSecret()
		if err != nil {
			t.Fatal(err)
		}
		if !access.WellFormed(secret) || seen[secret] {
			t.Fatalf("secret %q is malformed or not new", secret)
		}
		seen[secret] = true
		for _, typo := range []string{secret[:len(secret)-1], secret + "x", "x" + secret[1:], strings.ToUpper(secret), swap(secret)} {
			if access.WellFormed(typo) {
				t.Errorf("%q with a typo as %q passes", secret, typo)
			}
		}
	}
}

// swap changes one character in the middle.
func swap(s string) string {
	c := byte('a')
	if s[10] == c {
		c = 'b'
	}
	return s[:10] + string(c) + s[11:]
}

func TestAuthenticate(t *testing.T) {
	s := &store{}
	tokens := access.NewTokens(s)
	past := time.Now().Add(-time.Minute)
	secret, _, err := tokens.Create(t.Context(), access.Grant{Name: "ci", Role: fleet.RoleDeveloper, Environments: []string{"staging"}})
	if err != nil {
		t.Fatal(err)
	}
	expired, _, err := tokens.Create(t.Context(), access.Grant{Name: "old", Role: fleet.RoleDeveloper, Environments: []string{"staging"}, ExpiresAt: &past})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range s.hashes {
		if bytes.Contains(h, []byte(secret)) {
			t.Error("the secret itself is stored")
		}
	}
	p, err := tokens.Authenticate(t.Context(), secret)
	if err != nil || p.Name != "ci" || p.Role != fleet.RoleDeveloper {
		t.Fatalf("principal %v, %v", p, err)
	}
	if s.tokens[0].LastUsedAt == nil {
		t.Error("the use was not noted")
	}
	before := s.lookups
	if _, err := tokens.Authenticate(t.Context(), secret); err != nil || s.lookups != before {
		t.Errorf("a token just used was looked up again (%v)", err)
	}
	for name, bad := range map[string]string{"none": "", "unknown": "wsk_x", "expired": expired, "huge": strings.Repeat("x", 10_000)} {
		if _, err := tokens.Authenticate(t.Context(), bad); !errors.Is(err, fleet.ErrUnauthenticated) {
			t.Errorf("%s: %v, want %v", name, err, fleet.ErrUnauthenticated)
		}
	}
}

func TestGrantCheck(t *testing.T) {
	known := []string{"development", "staging"}
	tests := []struct {
		name  string
		grant access.Grant
		field string
	}{
		{"good", access.Grant{Name: "ci", Role: fleet.RoleDeveloper, Environments: []string{"staging"}}, ""},
		{"all environments", access.Grant{Name: "ci", Role: fleet.RoleSystemAdmin, Environments: []string{"*"}}, ""},
		{"bad name", access.Grant{Name: "C I", Role: fleet.RoleDeveloper, Environments: []string{"staging"}}, "name"},
		{"bad role", access.Grant{Name: "ci", Role: "root", Environments: []string{"staging"}}, "role"},
		{"no environment", access.Grant{Name: "ci", Role: fleet.RoleDeveloper}, "environments"},
		{"unknown environment", access.Grant{Name: "ci", Role: fleet.RoleDeveloper, Environments: []string{"moon"}}, "environments"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.grant.Check(known)
			var e *fleet.Error
			switch {
			case tt.field == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.field != "" && (!errors.As(err, &e) || e.Field != tt.field):
				t.Errorf("error %v, want one about %s", err, tt.field)
			}
		})
	}
}

func TestEnsureBootstrap(t *testing.T) {
	s := &store{}
	tokens := access.NewTokens(s)
	first, second := strings.Repeat("a", 24), strings.Repeat("b", 24)
	for _, secret := range []string{first, first, second} {
		if err := tokens.EnsureBootstrap(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if p, err := tokens.Authenticate(t.Context(), secret); err != nil || p.Role != fleet.RoleSystemAdmin {
			t.Fatalf("principal %v, %v", p, err)
		}
	}
	if len(s.tokens) != 2 || s.tokens[0].RevokedAt == nil {
		t.Errorf("another bootstrap token should replace the first: %v", s.tokens)
	}
	for name, bad := range map[string]string{"short": "abc", "with spaces": strings.Repeat("a ", 20), "revoked": first} {
		if err := tokens.EnsureBootstrap(t.Context(), bad); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), first) {
			t.Errorf("%s: the secret is in the error", name)
		}
	}
}
