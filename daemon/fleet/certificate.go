package fleet

import "time"

// StoredCertificate describes something that is kept for certificates: a
// certificate, its key, or an account at an authority.
type StoredCertificate struct {
	// Key is its name, with slashes like a path's.
	Key string
	// Size is that of its value in bytes.
	Size       int64
	ModifiedAt time.Time
}
