package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sync/singleflight"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Bounds of calls whose context has no deadline of its own.
const (
	// callTimeout bounds a call that changes or reads one thing. Starting a
	// container on a busy machine is the slowest of them.
	callTimeout = 60 * time.Second
	// registryTimeout bounds the question what a tag stands for, so that an
	// unreachable registry does not hold up an API request.
	registryTimeout = 10 * time.Second
	// pullTimeout bounds the download of one image.
	pullTimeout = 15 * time.Minute
	// pingTimeout bounds the question whether the engine is there.
	pingTimeout = 3 * time.Second
)

// Config says which engine to use, and as whom.
type Config struct {
	// Host is the engine's address, such as unix:///var/run/docker.sock; empty
	// means DOCKER_HOST and its companions, as every Docker client reads them.
	Host string
	// Installation is the value of the wedsync.installation label; required.
	Installation string
	// Node names the machine; empty means the engine's own name for it.
	Node string
	// Logger gets what no caller can be told; nil discards it.
	Logger *slog.Logger
}

// Engine is one container engine, seen by one installation. It is safe for
// concurrent use.
type Engine struct {
	client    *client.Client
	transport *fencedTransport
	// fresh reads from the same engine, over a new connection for every call.
	fresh        *client.Client
	installation string
	log          *slog.Logger
	// registryTimeout is the bound of the same name, shorter in tests.
	registryTimeout time.Duration

	// background ends with Close; it carries work that several callers share.
	background context.Context
	stop       context.CancelFunc
	pulls      singleflight.Group
	networks   singleflight.Group
	// joining is held shared while a container is given a network that was just
	// looked up, and exclusively while an unused network is removed, so that no
	// network vanishes between the two.
	joining sync.RWMutex

	stats statsReader

	// unended are the health commands that have outlived their time, by container.
	unendedMu sync.Mutex
	unended   map[string]string
	// unkind leaves such commands alone, in tests.
	unkind bool

	nodeMu sync.Mutex
	node   string
}

// New makes an Engine. It does not connect yet: use [Engine.Ping] for that. In a
// context with a fence (see [fleet.Fence]) it changes nothing that the fence refuses.
func New(cfg Config) (*Engine, error) {
	if cfg.Installation == "" {
		return nil, errors.New("make engine client: the installation is not named")
	}
	options := []client.Opt{client.FromEnv}
	if cfg.Host != "" {
		options = append(options, client.WithHost(cfg.Host))
	}
	transport := &fencedTransport{}
	options = append(options, client.WithAPIVersionNegotiation(), client.WithUserAgent("wedsyncd"))
	c, err := client.NewClientWithOpts(append(slices.Clip(options), transport.fenced)...)
	var fresh *client.Client
	if err == nil {
		fresh, err = client.NewClientWithOpts(append(slices.Clip(options), newConnections)...)
	}
	if err != nil {
		return nil, fmt.Errorf("make engine client: %w; check DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH", err)
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		client: c, transport: transport, fresh: fresh, installation: cfg.Installation, node: cfg.Node,
		log: log, registryTimeout: registryTimeout, stats: newStatsReader(), unended: make(map[string]string),
	}
	e.background, e.stop = context.WithCancel(context.Background())
	return e, nil
}

// newConnections is the option that makes a client use a new connection for every call.
func newConnections(c *client.Client) error {
	transport, ok := c.HTTPClient().Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("use new connections: the client's transport is a %T", c.HTTPClient().Transport)
	}
	transport.DisableKeepAlives = true
	return nil
}

// Close ends downloads that are under way and gives back all connections.
func (e *Engine) Close() error {
	e.stop()
	e.stats.letGo()
	e.transport.base.CloseIdleConnections()
	return e.client.Close()
}

// Host is the address of the engine.
func (e *Engine) Host() string { return e.client.DaemonHost() }

// Ping reports whether the engine answers; ErrUnavailable.
func (e *Engine) Ping(ctx context.Context) error {
	ctx, cancel := bounded(ctx, pingTimeout)
	defer cancel()
	if _, err := e.client.Ping(ctx); err != nil {
		return e.unavailable(err)
	}
	return nil
}

// Node is the name of the machine: the configured one, or the engine's own.
func (e *Engine) Node(ctx context.Context) (string, error) {
	e.nodeMu.Lock()
	defer e.nodeMu.Unlock()
	if e.node != "" {
		return e.node, nil
	}
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	info, err := e.client.Info(call)
	if err != nil {
		return "", e.translate(ctx, "name node", err)
	}
	if info.Name == "" {
		return "", fleet.Errorf(fleet.ErrUnavailable, "the Docker Engine at %s does not tell its machine's name; set a node name for wedsyncd", e.Host())
	}
	e.node = info.Name
	return e.node, nil
}

// bounded is ctx with a deadline: its own if it has one, else after d.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// shared is a context for work that several callers share: it outlives ctx, the
// first of them, whose fence it keeps, and ends with Close or after d.
func (e *Engine) shared(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	release := context.AfterFunc(e.background, cancel)
	return call, func() {
		release()
		cancel()
	}
}

// afterwards is a short context for undoing what ctx's call began, even when
// ctx has ended.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
}
