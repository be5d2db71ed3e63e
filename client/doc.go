// Package client is the Go SDK of wedsyncd, the container management daemon.
//
// [New] makes a [Client]; it has one method per operation of the HTTP API, each
// taking a context first. Lists come one page at a time (ListDefinitions) or
// whole, as an iterator that asks for the next page when it needs it
// (AllDefinitions). The types that go over the wire are in package
// [github.com/wedsync/terraform-provider-wedsync/client/api].
//
// # Errors
//
// A refusal of the daemon is an [*Error] around the [*api.Problem] that the
// daemon sent; ask for its kind with [IsNotFound], [IsConflict], [IsInvalid] and
// the like. A daemon that cannot be reached is an [*UnreachableError].
//
// # Deployments
//
// What changes what runs ([Client.Deploy], [Client.Rollback], [Client.Scale] and
// [Client.RemoveDeployment]) returns once it is accepted; [Client.WaitDeployment]
// waits until it has ended. When a deployment fails the daemon brings back what
// was stable last, and waiting goes on until that has ended too, so that the
// [*DeploymentFailedError] says both why it failed and what runs now. A
// [*DeploymentSupersededError] says that a newer deployment took its place.
//
// # Retries
//
// Lost connections and answers of status 429, 500, 502, 503 and 504 are retried
// a bounded number of times, with growing pauses and as Retry-After asks. Every
// mutation carries an idempotency key, the same over all of its retries, so that
// the daemon does the work once even if the answer was lost on its way. Where a
// mutation must be safe to repeat across processes, choose the key yourself with
// [WithIdempotencyKey].
package client
