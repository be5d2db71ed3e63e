package access

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what access control needs of the database.
type Store interface {
	// TokenByHash finds a token by the SHA-256 of its secret; ErrNotFound. It needs no call in the context.
	TokenByHash(ctx context.Context, hash []byte) (fleet.Token, error)
	// TouchToken notes that the token was used.
	TouchToken(ctx context.Context, id string, at time.Time) error
	// CreateToken stores a new principal with its token. ErrAlreadyExists when a
	// token of that name is active.
	CreateToken(ctx context.Context, t fleet.Token, hash []byte) (fleet.Token, error)
	// ListTokens lists all tokens, revoked ones too, oldest first.
	ListTokens(ctx context.Context) ([]fleet.Token, error)
	// RevokeToken ends the active token with that identifier or principal name; ErrNotFound.
	RevokeToken(ctx context.Context, idOrName string) (fleet.Token, error)
}
