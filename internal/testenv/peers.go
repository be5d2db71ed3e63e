package testenv

import (
	"os/exec"
	"testing"
)

// Compose is the path of the program docker-compose.
func Compose(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("docker-compose")
	if err != nil {
		tb.Fatalf("this benchmark needs docker-compose: run it with \"make bench\", which installs it, or install Debian's package docker-compose (%v)", err)
	}
	return path
}
