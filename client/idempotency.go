package client

import (
	"context"
	"crypto/rand"
	"fmt"
)

type idempotencyContextKey struct{}

// WithIdempotencyKey sets the idempotency key of the one mutation that is called
// with the context. The daemon does the work of a key once and answers every
// repetition with the first result; the same key with another request is
// refused. Without it each call makes a key of its own.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyContextKey{}, key)
}

func idempotencyKey(ctx context.Context) string {
	if key, ok := ctx.Value(idempotencyContextKey{}).(string); ok && key != "" {
		return key
	}
	return NewIdempotencyKey()
}

// NewIdempotencyKey makes a random key, a UUID of version 4.
func NewIdempotencyKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program rather than return weak bytes
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
