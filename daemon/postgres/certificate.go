package postgres

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// sealedCertificate is what a value is sealed for: its place, so that nobody can
// move it to another one.
func sealedCertificate(key string) string { return "certificate " + key }

// StoreCertificate implements certificates.Store.
func (s *Store) StoreCertificate(ctx context.Context, key string, value []byte) error {
	sealed, err := s.sealer.sealBytes(value, sealedCertificate(key))
	if err != nil {
		return err
	}
	return s.write(ctx, "store certificate", func(t *transaction) error {
		return t.StoreCertificate(ctx, dbsqlc.StoreCertificateParams{Key: key, Value: sealed})
	})
}

// LoadCertificate implements certificates.Store.
func (s *Store) LoadCertificate(ctx context.Context, key string) ([]byte, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := q.LoadCertificate(ctx, key)
	if err != nil {
		return nil, translate("load certificate", err)
	}
	value, ok := s.sealer.openBytes(sealed, sealedCertificate(key))
	if !ok {
		return nil, fleet.Errorf(fleet.ErrConflict,
			"open certificate %q: it was stored under another secret key; give all daemons the same one, or delete the row from table certificates", key)
	}
	return value, nil
}

// ListCertificates implements certificates.Store.
func (s *Store) ListCertificates(ctx context.Context, key string) ([]fleet.StoredCertificate, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.ListCertificates(ctx, key)
	return convertAll(rows, func(r dbsqlc.ListCertificatesRow) fleet.StoredCertificate {
		return fleet.StoredCertificate{Key: r.Key, Size: int64(r.Size) - int64(s.sealer.overhead()), ModifiedAt: r.ModifiedAt}
	}), translate("list certificates", err)
}

// DeleteCertificates implements certificates.Store.
func (s *Store) DeleteCertificates(ctx context.Context, key string) error {
	return s.write(ctx, "delete certificates", func(t *transaction) error { return t.DeleteCertificates(ctx, key) })
}

// LeaseCertificates implements certificates.Store.
func (s *Store) LeaseCertificates(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	var n int64
	err := s.write(ctx, "lock certificates", func(t *transaction) (err error) {
		n, err = t.LeaseCertificates(ctx, dbsqlc.LeaseCertificatesParams{Name: name, Holder: holder, Seconds: lease.Seconds()})
		return err
	})
	return n > 0, err
}

// ReleaseCertificates implements certificates.Store.
func (s *Store) ReleaseCertificates(ctx context.Context, name, holder string) error {
	return s.write(ctx, "unlock certificates", func(t *transaction) error {
		return t.ReleaseCertificates(ctx, dbsqlc.ReleaseCertificatesParams{Name: name, Holder: holder})
	})
}
