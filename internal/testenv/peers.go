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

// Dig is the path of the program dig.
func Dig(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("dig")
	if err != nil {
		tb.Fatalf("this test needs dig: run it with \"make test\", which installs it, or install Debian's package bind9-dnsutils (%v)", err)
	}
	return path
}
