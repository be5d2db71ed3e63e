package fleet

import "context"

type fenceKey struct{}

// WithFence is a context for work that only one daemon may do. The fence answers
// whether this daemon may still do it: with nil, or with ErrUnavailable once the
// work is, or may be, another one's. It is asked often and must answer at once.
func WithFence(ctx context.Context, fence func() error) context.Context {
	return context.WithValue(ctx, fenceKey{}, fence)
}

// Fence asks the context's fence; without one it returns nil. An adapter asks it
// before each change to the world, as late as it can: the end of a context is
// noticed by goroutines that run, the fence holds for one that was stopped.
func Fence(ctx context.Context) error {
	fence, ok := ctx.Value(fenceKey{}).(func() error)
	if !ok {
		return nil
	}
	return fence()
}
