package discovery

// Waiters is how many wait for a change.
func Waiters(d *Directory) int64 { return d.waiters.Load() }
