package testenv

import (
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/internal/tools"
)

// OpenTofu is the path of the pinned OpenTofu program, which is built when this
// machine lacks it.
func OpenTofu(t testing.TB) string {
	t.Helper()
	return cli(t, tools.OpenTofu)
}

// Terraform is the path of the pinned Terraform program, the oldest that the
// provider supports, which is built when this machine lacks it.
func Terraform(t testing.TB) string {
	t.Helper()
	return cli(t, tools.Terraform)
}

func cli(t testing.TB, name string) string {
	t.Helper()
	path, err := tools.Path(t.Context(), name, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return path
}
