package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Role is the role that every statement of the daemon runs as. The first
// migration makes it, able to log in but without a password.
const Role = "wedsync_app"

const (
	defaultMaxConns    = 16
	defaultHostPortMin = 20000
	defaultHostPortMax = 29999
	partitionsAhead    = 14 // days
	makePartitions     = "SELECT wedsync_make_metric_partitions($1)"
)

// Config says where the database is and what goes with it.
type Config struct {
	// URL is the database. Its login is the role wedsync_app itself, or one that
	// may become it (the owner, for one): then every connection does SET ROLE
	// first. An unprivileged login is the stronger of the two, because nothing
	// that is sent through it can get the owner's rights back.
	URL string
	// SecretKey, SecretKeySize random bytes, encrypts registry credentials and certificates.
	SecretKey []byte
	// HostPortMin and HostPortMax are the range that host ports are leased from,
	// inclusive; 20000 to 29999 when zero.
	HostPortMin, HostPortMax int
	// MaxConns bounds the connections for queries; 16 when zero. Up to two more
	// are held, for Lead and Changes.
	MaxConns int
	Logger   *slog.Logger
}

// Store is the fleet in Postgres. It is safe for concurrent use.
type Store struct {
	pool             *pgxpool.Pool
	sealer           *sealer
	log              *slog.Logger
	portMin, portMax int
}

// Open connects to a database that Migrate has brought up to date. It refuses a
// schema of another version, and one in which row level security would not hold
// for its connections.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{log: c.Logger, portMin: c.HostPortMin, portMax: c.HostPortMax}
	if s.portMin == 0 && s.portMax == 0 {
		s.portMin, s.portMax = defaultHostPortMin, defaultHostPortMax
	}
	if s.portMin < 1 || s.portMax > 65535 || s.portMin > s.portMax {
		return nil, fmt.Errorf("the host port range %d-%d is invalid; use for example %d-%d", s.portMin, s.portMax, defaultHostPortMin, defaultHostPortMax)
	}
	var err error
	if s.sealer, err = newSealer(c.SecretKey); err != nil {
		return nil, err
	}
	config, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, translate("open connection pool", err)
	}
	if err := s.ready(ctx); err != nil {
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

// Close closes all connections, after their work is done.
func (s *Store) Close() { s.pool.Close() }

// Ping implements httpapi.Store.
func (s *Store) Ping(ctx context.Context) error {
	return translate("ping", s.pool.Ping(ctx))
}

// Installation is the identifier of this database's fleet: containers and
// networks of another one on the same engine are not ours.
func (s *Store) Installation(ctx context.Context) (string, error) {
	q, err := s.read(fleet.AsSystem(ctx))
	if err != nil {
		return "", err
	}
	id, err := q.InstallationID(ctx)
	return id, translate("read installation", err)
}

// Maintain makes the coming days' partitions, and forgets old idempotency keys and
// followers of the registry that ended without a word.
// The daemon calls it from time to time, at least daily.
func (s *Store) Maintain(ctx context.Context) error {
	err := s.write(fleet.AsSystem(ctx), "maintain the database", func(t *transaction) error {
		if _, err := t.tx.Exec(ctx, makePartitions, partitionsAhead); err != nil {
			return err
		}
		return t.PruneFollowers(ctx)
	})
	if err != nil {
		return err
	}
	_, err = s.PruneIdempotencyKeys(ctx, time.Now())
	return err
}

func poolConfig(c Config) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errURL
	}
	configure(config.ConnConfig)
	bound(config.ConnConfig)
	config.MaxConns = defaultMaxConns
	if c.MaxConns > 0 {
		config.MaxConns = int32(min(c.MaxConns, 1000))
	}
	config.MaxConnIdleTime = 5 * time.Minute
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 5 * time.Minute
	config.HealthCheckPeriod = 30 * time.Second
	config.AfterConnect = prepare
	return config, nil
}

// bound ends statements, waits for locks and forgotten transactions, so that
// nothing hangs for ever.
func bound(config *pgx.ConnConfig) {
	config.RuntimeParams["statement_timeout"] = "30s"
	config.RuntimeParams["lock_timeout"] = "10s"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "2min"
}

// prepare makes a new connection ours: it becomes the role, and reads times in UTC.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	scan := &pgtype.TimestamptzCodec{ScanLocation: time.UTC}
	element := &pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: scan}
	conn.TypeMap().RegisterType(element)
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "_timestamptz", OID: pgtype.TimestamptzArrayOID, Codec: &pgtype.ArrayCodec{ElementType: element},
	})
	if conn.Config().User == Role {
		return nil
	}
	if _, err := conn.Exec(ctx, "SET ROLE "+Role); err != nil {
		return errRole(conn.Config().User, err)
	}
	return nil
}

// errRole explains why a login cannot become the role.
func errRole(login string, err error) error {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "22023": // invalid_parameter_value: no such role
		return fmt.Errorf("the role %s does not exist: run wedsyncd migrate with the database owner's URL first", Role)
	case errors.As(err, &pg) && pg.Code == codePrivilege:
		return fmt.Errorf("the database login %q may not become %s: log in as %s, or GRANT %s TO %q", login, Role, Role, Role, login)
	default:
		return err
	}
}

// ready checks what must hold before the first query.
func (s *Store) ready(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return translate("connect to the database", err)
	}
	defer conn.Release()
	if err := checkRole(ctx, conn.Conn()); err != nil {
		return err
	}
	if err := checkVersion(ctx, conn.Conn()); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, makePartitions, partitionsAhead)
	return translate("make metric partitions", err)
}

// checkRole refuses a role that row level security does not bind.
func checkRole(ctx context.Context, conn *pgx.Conn) error {
	var role string
	var super, bypass, owns bool
	err := conn.QueryRow(ctx, `
		SELECT current_user, r.rolsuper, r.rolbypassrls, EXISTS (
			SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = 'container_definitions'
				AND pg_has_role(current_user, c.relowner, 'MEMBER'))
		FROM pg_roles r WHERE r.rolname = current_user`).Scan(&role, &super, &bypass, &owns)
	if err != nil {
		return translate("read the database role", err)
	}
	refuse := func(what string) error {
		return fmt.Errorf("the database role %q %s, so row level security would not hold for it: make it an ordinary role (ALTER ROLE %s NOSUPERUSER NOBYPASSRLS) that neither owns the tables nor is a member of their owner", role, what, role)
	}
	switch {
	case super:
		return refuse("is a superuser")
	case bypass:
		return refuse("has BYPASSRLS")
	case owns:
		return refuse("has the rights of the tables' owner")
	}
	return nil
}

func checkVersion(ctx context.Context, conn *pgx.Conn) error {
	want, err := schemaVersion()
	if err != nil {
		return err
	}
	var have int64
	err = conn.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == codePrivilege): // no such table, or not granted yet
		return errors.New("the database has no schema of wedsyncd: run wedsyncd migrate with the database owner's URL first")
	case err != nil:
		return translate("read the schema version", err)
	case have < want:
		return fmt.Errorf("the database schema has version %d, this wedsyncd needs %d: run wedsyncd migrate with the database owner's URL first", have, want)
	case have > want:
		return fmt.Errorf("the database schema has version %d, this wedsyncd knows versions up to %d: use a newer wedsyncd", have, want)
	}
	return nil
}
