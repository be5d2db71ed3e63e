package postgres_test

import (
	"crypto/sha256"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func TestTokens(t *testing.T) {
	s, _ := open(t)
	hash := func(secret string) []byte { h := sha256.Sum256([]byte(secret)); return h[:] }
	wish := fleet.Token{
		Principal: fleet.Principal{Name: "ci", Role: devops, Environments: []string{"staging"}},
		Prefix:    "wsk_abc", ExpiresAt: new(time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)),
	}
	created, err := s.CreateToken(system(t), wish, hash("one"))
	if err != nil {
		t.Fatal(err)
	}
	wish.ID, wish.CreatedAt = created.ID, created.CreatedAt
	wish.Principal.ID, wish.Principal.CreatedAt = created.Principal.ID, created.Principal.CreatedAt
	if !reflect.DeepEqual(created, wish) {
		t.Errorf("created %+v, want %+v", created, wish)
	}
	if found, err := s.TokenByHash(t.Context(), hash("one")); err != nil || !reflect.DeepEqual(found, wish) {
		t.Errorf("found %+v, %v", found, err)
	}
	_, err = s.TokenByHash(t.Context(), hash("two"))
	wantKind(t, err, fleet.ErrNotFound)
	_, err = s.CreateToken(system(t), wish, hash("two"))
	wantField(t, err, fleet.ErrAlreadyExists, "name")
	_, err = s.CreateToken(as(t, s, devops, "*"), wish, hash("two"))
	wantKind(t, err, fleet.ErrForbidden)

	if err := s.TouchToken(system(t), created.ID, testTime); err != nil {
		t.Fatal(err)
	}
	if err := s.TouchToken(system(t), created.ID, testTime.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if found, err := s.TokenByHash(t.Context(), hash("one")); err != nil || found.LastUsedAt == nil || !found.LastUsedAt.Equal(testTime) {
		t.Errorf("last used at %v, %v; want the newest use", found.LastUsedAt, err)
	}

	revoked, err := s.RevokeToken(system(t), "ci")
	if err != nil || revoked.ID != created.ID || revoked.RevokedAt == nil {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	if found, err := s.TokenByHash(t.Context(), hash("one")); err != nil || found.RevokedAt == nil {
		t.Errorf("found %+v, %v; want it revoked", found, err)
	}
	for _, again := range []string{"ci", created.ID, "nobody"} {
		_, err = s.RevokeToken(system(t), again)
		wantKind(t, err, fleet.ErrNotFound)
	}
	second, err := s.CreateToken(system(t), wish, hash("two")) // the name is free again
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeToken(system(t), second.ID); err != nil {
		t.Errorf("revoke by identifier: %v", err)
	}
	list, err := s.ListTokens(system(t))
	if err != nil || len(list) != 3 || list[0].ID != created.ID || list[2].ID != second.ID {
		t.Errorf("listed %+v, %v", list, err)
	}
	want := []string{fleet.EventTokenRevoked, fleet.EventTokenCreated, fleet.EventTokenRevoked, fleet.EventTokenCreated, fleet.EventTokenCreated}
	if got := eventTypes(t, s, fleet.EventFilter{}); !slices.Equal(got, want) {
		t.Errorf("events are %v, want %v", got, want)
	}
}

func TestExpiredTokenGivesItsNameBack(t *testing.T) {
	s, _ := open(t)
	token := fleet.Token{Principal: fleet.Principal{Name: "ci", Role: developer}, Prefix: "wsk_", ExpiresAt: new(time.Now().Add(-time.Minute))}
	first := sha256.Sum256([]byte("one"))
	if _, err := s.CreateToken(system(t), token, first[:]); err != nil {
		t.Fatal(err)
	}
	token.ExpiresAt = nil
	second := sha256.Sum256([]byte("two"))
	if _, err := s.CreateToken(system(t), token, second[:]); err != nil {
		t.Errorf("the name of an expired token is not free: %v", err)
	}
	third := sha256.Sum256([]byte("three"))
	_, err := s.CreateToken(system(t), token, third[:])
	wantKind(t, err, fleet.ErrAlreadyExists)
}

func TestReservedName(t *testing.T) {
	s, _ := open(t)
	hash := sha256.Sum256([]byte("x"))
	_, err := s.CreateToken(system(t), fleet.Token{Principal: fleet.Principal{Name: fleet.System.Name, Role: admin}}, hash[:])
	wantKind(t, err, fleet.ErrAlreadyExists)
}
