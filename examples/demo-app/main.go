// Command demo-app is a small HTTP server to deploy with wedsync: it answers with
// its version, speaks server-sent events, WebSocket and gRPC, and can be told to be
// slow, to hang, to fail, to crash, and to burn CPU or memory. It needs nothing but
// itself, so that its image can be built from scratch.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// version is set when the program is linked: -ldflags "-X main.version=v2".
var version = "dev"

// shutdownTimeout bounds how long requests may take to end after SIGTERM. It is
// below the ten seconds after which an engine kills.
const shutdownTimeout = 8 * time.Second

func main() {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		os.Exit(check(context.Background(), os.Getenv, os.Stdout))
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Getenv, log, os.Exit)
	stop()
	os.Exit(code)
}

// run serves until ctx ends, and returns the exit code. Exit ends the program
// from within a request or after CRASH_AFTER.
func run(ctx context.Context, getenv func(string) string, log *slog.Logger, exit func(int)) int {
	cfg, err := readConfig(getenv)
	if err != nil {
		log.Error("configuration refused", "error", err)
		return 2
	}
	if cfg.ignoreSIGTERM {
		signal.Ignore(syscall.SIGTERM)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(cfg.port))
	if err != nil {
		log.Error("cannot listen", "error", err)
		return 1
	}
	return serve(ctx, listener, cfg, log, exit)
}

func serve(ctx context.Context, listener net.Listener, cfg config, log *slog.Logger, exit func(int)) int {
	if cfg.crashAfter > 0 {
		timer := time.AfterFunc(cfg.crashAfter, func() {
			log.Error("crashing, as CRASH_AFTER asks", "after", cfg.crashAfter)
			exit(1)
		})
		defer timer.Stop()
	}
	app := newApp(cfg, log, exit)
	if cfg.leak > 0 {
		go app.leak(ctx)
	}
	server := &http.Server{
		Handler:           app.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	log.Info("serving", "address", listener.Addr().String(), "version", cfg.version, "environment", cfg.environment)
	select {
	case err := <-ended:
		log.Error("server ended", "error", err)
		return 1
	case <-ctx.Done():
	}
	log.Info("stopping", "grace", shutdownTimeout)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	ending := make(chan error, 1)
	go func() { ending <- server.Shutdown(grace) }()
	app.sockets.end(grace)
	if err := <-ending; err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("requests cut off", "error", err)
		return 1
	}
	log.Info("stopped")
	return 0
}
