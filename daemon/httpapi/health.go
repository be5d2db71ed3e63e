package httpapi

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	pathHealth    = "/healthz"
	pathReadiness = "/readyz"

	// readinessTimeout bounds how long the database and the engine may take to answer.
	readinessTimeout = 2 * time.Second
)

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status  string `json:"status" doc:"Always ok; anything else is a problem." example:"ok" enum:"ok"`
	Version string `json:"version" doc:"Version of the daemon." example:"0.1.0"`
}

func (s *server) registerHealth(a huma.API) {
	register(s, a, operation{
		id: "getHealth", method: http.MethodGet, path: pathHealth, tag: "health",
		summary: "Check that the daemon runs", description: "Answers while the process serves requests.",
		status: http.StatusOK, success: "The daemon runs.",
	}, s.getHealth)
	register(s, a, operation{
		id: "getReadiness", method: http.MethodGet, path: pathReadiness, tag: "health",
		summary: "Check that the daemon can work", description: "Asks the database and the container engine.",
		status: http.StatusOK, success: "The database and the engine answer.",
	}, s.getReadiness)
}

func (s *server) getHealth(context.Context, *struct{}) (*Answer[Health], error) {
	return s.healthy(), nil
}

func (s *server) getReadiness(ctx context.Context, _ *struct{}) (*Answer[Health], error) {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	var database, engine error
	var both sync.WaitGroup
	both.Go(func() { database = s.Store.Ping(ctx) })
	both.Go(func() { engine = s.Engine.Ping(ctx) })
	both.Wait()

	var silent []string
	if database != nil {
		silent = append(silent, "the database does not answer")
	}
	if engine != nil {
		silent = append(silent, "the container engine does not answer")
	}
	if len(silent) > 0 {
		x, _ := exchangeFrom(ctx)
		s.Logger.WarnContext(ctx, "not ready", "request_id", x.id, "database", database, "engine", engine)
		return nil, fleet.Errorf(fleet.ErrUnavailable, "%s", strings.Join(silent, "; "))
	}
	return s.healthy(), nil
}

func (s *server) healthy() *Answer[Health] {
	return &Answer[Health]{Body: Health{Status: "ok", Version: s.Version}}
}
