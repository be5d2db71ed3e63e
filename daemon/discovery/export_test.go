package discovery

import "time"

// Waiters is how many wait for a change.
func Waiters(d *Directory) int64 { return d.waiters.Load() }

// Told has the directory believe that somebody goes by its answers for a while.
func Told(d *Directory, lasts time.Duration) { d.told(lasts) }
