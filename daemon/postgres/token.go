package postgres

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// tokenByHash is not sqlc's: it cannot see the columns of a function.
const tokenByHash = `SELECT id, prefix, created_at, expires_at, revoked_at, last_used_at,
	principal_id, principal_name, principal_role, principal_environments, principal_created_at
FROM wedsync_token_by_hash($1)`

// TokenByHash implements access.Store. No principal is known yet, so a function
// of the schema finds the one token with the owner's rights.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (fleet.Token, error) {
	var t fleet.Token
	p := &t.Principal
	err := s.pool.QueryRow(ctx, tokenByHash, hash).Scan(&t.ID, &t.Prefix, &t.CreatedAt, &t.ExpiresAt, &t.RevokedAt,
		&t.LastUsedAt, &p.ID, &p.Name, &p.Role, &p.Environments, &p.CreatedAt)
	if err != nil {
		return fleet.Token{}, translate("find token", err)
	}
	return t, nil
}

// TouchToken implements access.Store.
func (s *Store) TouchToken(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, "touch token", func(t *transaction) error {
		return t.TouchToken(ctx, dbsqlc.TouchTokenParams{ID: id, At: at})
	})
}

// CreateToken implements access.Store.
func (s *Store) CreateToken(ctx context.Context, token fleet.Token, hash []byte) (fleet.Token, error) {
	err := s.write(ctx, "create token", func(t *transaction) error {
		if err := t.RetireExpired(ctx, token.Principal.Name); err != nil {
			return err
		}
		id, err := t.insertToken(ctx, token, hash)
		if err != nil {
			return err
		}
		r, err := t.GetToken(ctx, id)
		if err != nil {
			return err
		}
		token = tokenOf(r.ApiToken, r.Principal)
		return t.record(ctx, tokenEvent(token, fleet.EventTokenCreated))
	})
	return token, err
}

func (t *transaction) insertToken(ctx context.Context, token fleet.Token, hash []byte) (id string, err error) {
	p := token.Principal
	if p.ID, err = newID(); err != nil {
		return "", err
	}
	if id, err = newID(); err != nil {
		return "", err
	}
	environments := append([]string{}, p.Environments...)
	if err := t.InsertPrincipal(ctx, dbsqlc.InsertPrincipalParams{ID: p.ID, Name: p.Name, Role: p.Role, Environments: environments}); err != nil {
		return "", err
	}
	return id, t.InsertToken(ctx, dbsqlc.InsertTokenParams{
		ID: id, PrincipalID: p.ID, TokenHash: hash, Prefix: token.Prefix, ExpiresAt: token.ExpiresAt,
	})
}

// ListTokens implements access.Store.
func (s *Store) ListTokens(ctx context.Context) ([]fleet.Token, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.ListTokens(ctx)
	return convertAll(rows, func(r dbsqlc.ListTokensRow) fleet.Token { return tokenOf(r.ApiToken, r.Principal) }), translate("list tokens", err)
}

// RevokeToken implements access.Store.
func (s *Store) RevokeToken(ctx context.Context, idOrName string) (fleet.Token, error) {
	var token fleet.Token
	err := s.write(ctx, "revoke token", func(t *transaction) error {
		row, err := t.LockActiveToken(ctx, idOrName)
		if err != nil {
			return missing("active token", idOrName, err)
		}
		if err := t.RevokeToken(ctx, row.ApiToken.ID); err != nil {
			return err
		}
		if err := t.DeactivatePrincipal(ctx, row.Principal.ID); err != nil {
			return err
		}
		r, err := t.GetToken(ctx, row.ApiToken.ID)
		if err != nil {
			return err
		}
		token = tokenOf(r.ApiToken, r.Principal)
		return t.record(ctx, tokenEvent(token, fleet.EventTokenRevoked))
	})
	return token, err
}

func tokenEvent(t fleet.Token, kind string) fleet.Event {
	return fleet.Event{Type: kind, Data: map[string]any{
		"token_id": t.ID, "name": t.Principal.Name, "role": string(t.Principal.Role),
		"environments": t.Principal.Environments, "prefix": t.Prefix,
	}}
}

func tokenOf(t dbsqlc.ApiToken, p dbsqlc.Principal) fleet.Token {
	return fleet.Token{
		ID: t.ID,
		Principal: fleet.Principal{
			ID: p.ID, Name: p.Name, Role: p.Role, Environments: p.Environments, CreatedAt: p.CreatedAt,
		},
		Prefix: t.Prefix, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, RevokedAt: t.RevokedAt, LastUsedAt: t.LastUsedAt,
	}
}
