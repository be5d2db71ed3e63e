//go:build !linux

package machine

// unmountBelow has nothing to do where no Engine of ours can run.
func unmountBelow(string) error { return nil }
