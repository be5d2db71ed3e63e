package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// SQLSTATE codes that have a meaning for callers.
const (
	codeInvalidText      = "22P02"
	codeInvalidDatetime  = "22007"
	codeUntranslatable   = "22P05"
	codeNotInRepertoire  = "22021"
	codeForeignKey       = "23503"
	codeUnique           = "23505"
	codeCheck            = "23514"
	codeSerialization    = "40001"
	codeDeadlock         = "40P01"
	codePrivilege        = "42501"
	codeTooManyConns     = "53300"
	codeLockNotAvailable = "55P03"
	codeQueryCanceled    = "57014"
	codeReadOnly         = "25006"
	classConnection      = "08"
	classOperator        = "57" // shutdown, crash, "cannot connect now"
)

// unique tells, for each unique constraint that a request can hit, which field is at fault.
var unique = map[string]struct{ field, message string }{
	"container_definitions_active_name":    {"name", "an active definition of this name exists already; choose another name, or change that one"},
	"container_networks_active_name":       {"network_name", "the environment has an active network of this name already; choose another name, or change that one"},
	"routes_environment_name_key":          {"name", "the environment has a route of this name already; choose another name, or change that one"},
	"scaling_policies_name":                {"policy_name", "the definition has a policy of this name in the environment already; choose another name, or change that one"},
	"principals_active_name":               {"name", "an active token of this name exists already; choose another name, or revoke that one"},
	"container_instances_container_id_key": {"container_id", "another instance has this container"},
}

// translate turns an error of pgx into one of fleet's sentinels, behind "verb
// noun". It is the only place that knows SQLSTATE codes. Errors that are fleet's
// already, and those of the context, pass.
func translate(doing string, err error) error {
	var known *fleet.Error
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return fleet.Errorf(fleet.ErrNotFound, "%s: there is none, or it may not be seen", doing)
	case errors.As(err, &pg):
		return translateServer(doing, pg)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", doing, err)
	case lost(err):
		return unavailable(doing, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// sqlState is the code that the server gave the error; empty if it is no error of the server's.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	return pg.Code
}

func translateServer(doing string, pg *pgconn.PgError) error {
	switch pg.Code {
	case codeUnique:
		if u, ok := unique[pg.ConstraintName]; ok {
			return fleet.FieldErrorf(fleet.ErrAlreadyExists, u.field, "%s", u.message)
		}
		return fmt.Errorf("%s: %w: %w", doing, fleet.ErrAlreadyExists, pg)
	case codeForeignKey:
		return fmt.Errorf("%s: %w: %w", doing, fleet.ErrNotFound, pg)
	case codeCheck, codeInvalidText, codeInvalidDatetime, codeUntranslatable, codeNotInRepertoire:
		return fmt.Errorf("%s: %w: %w", doing, fleet.ErrInvalid, pg)
	case codePrivilege:
		return fleet.Errorf(fleet.ErrForbidden, "%s: the principal's role or environments do not allow it", doing)
	case codeSerialization, codeDeadlock, codeLockNotAvailable, codeQueryCanceled, codeTooManyConns, codeReadOnly:
		return unavailable(doing, pg)
	}
	if class := pg.Code[:min(2, len(pg.Code))]; class == classConnection || class == classOperator {
		return unavailable(doing, pg)
	}
	return fmt.Errorf("%s: %w", doing, pg)
}

// lost reports whether the error means that the connection cannot be made or is gone.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func unavailable(doing string, cause error) error {
	return fmt.Errorf("%s: the database is %w: %w", doing, fleet.ErrUnavailable, cause)
}

// missing is translate where a row that is not there is the noun that was asked for.
func missing(noun, id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Errorf(fleet.ErrNotFound, "%s %s does not exist", noun, id)
	}
	return translate("read "+noun, err)
}
