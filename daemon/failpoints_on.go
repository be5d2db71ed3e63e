//go:build failpoints

package daemon

import (
	"os"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/failpoint"
)

// withFailpoints gives boundaries to what deploying changes, in a daemon that is
// to be ended at one of them.
func withFailpoints(s deploy.Store, e deploy.Engine) (deploy.Store, deploy.Engine) {
	file := os.Getenv(failpoint.Variable)
	if file == "" {
		return s, e
	}
	trap := failpoint.New(file)
	return trap.Store(s), trap.Engine(e)
}
