//go:build !failpoints

package daemon

import "github.com/wedsync/terraform-provider-wedsync/daemon/deploy"

// withFailpoints is nothing in the daemon that users run.
func withFailpoints(s deploy.Store, e deploy.Engine) (deploy.Store, deploy.Engine) { return s, e }
