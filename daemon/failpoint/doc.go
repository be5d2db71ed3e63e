// Package failpoint lets tests end or hold the daemon at the boundaries of the
// calls by which deploying changes the store or the engine: right before one
// begins, and right after it has returned. It is part of a wedsyncd that was
// built with the tag "failpoints", and of no other.
package failpoint
