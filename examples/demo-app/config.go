package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// config is what the environment variables say.
type config struct {
	port        int
	version     string
	environment string // WEDSYNC_ENVIRONMENT
	instance    string // WEDSYNC_INSTANCE
	hostname    string
	startDelay  time.Duration
	healthDelay time.Duration
	failHealth  bool
	crashAfter  time.Duration
}

// maxDelay bounds every duration that a variable or a request can ask for.
const maxDelay = 10 * time.Minute

// readConfig reads all variables and names every one that is wrong.
func readConfig(getenv func(string) string) (config, error) {
	r := reader{getenv: getenv}
	hostname, _ := os.Hostname() // only shown
	c := config{
		port:        r.port("PORT", 8080),
		version:     version,
		environment: getenv("WEDSYNC_ENVIRONMENT"),
		instance:    getenv("WEDSYNC_INSTANCE"),
		hostname:    hostname,
		startDelay:  r.duration("START_DELAY"),
		healthDelay: r.duration("HEALTH_DELAY"),
		failHealth:  r.flag("FAIL_HEALTH"),
		crashAfter:  r.duration("CRASH_AFTER"),
	}
	if v := getenv("VERSION"); v != "" {
		c.version = v
	}
	return c, errors.Join(r.errs...)
}

// reader reads typed variables and gathers what is wrong with them.
type reader struct {
	getenv func(string) string
	errs   []error
}

func (r *reader) fail(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

func (r *reader) port(name string, otherwise int) int {
	s := r.getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 {
		r.fail("%s is %q; write a TCP port from 1 to 65535", name, s)
	}
	return n
}

func (r *reader) duration(name string) time.Duration {
	s := r.getenv(name)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxDelay {
		r.fail("%s is %q; write a duration from 0s to %s, for example 2s or 500ms", name, s, maxDelay)
	}
	return d
}

func (r *reader) flag(name string) bool {
	s := r.getenv(name)
	if s == "" {
		return false
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		r.fail("%s is %q; write true or false", name, s)
	}
	return b
}
