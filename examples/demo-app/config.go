package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// config is what the environment variables say.
type config struct {
	port          int
	version       string
	environment   string // WEDSYNC_ENVIRONMENT
	instance      string // WEDSYNC_INSTANCE
	hostname      string
	startDelay    time.Duration
	healthDelay   time.Duration
	healthPattern string
	failHealth    bool
	hang          bool
	crashAfter    time.Duration
	leak          int // megabytes a second
	ignoreSIGTERM bool
}

// maxDelay bounds every duration that a variable or a request can ask for.
const maxDelay = 10 * time.Minute

// maxLeak bounds LEAK, in megabytes a second.
const maxLeak = 1024

// readConfig reads all variables and names every one that is wrong.
func readConfig(getenv func(string) string) (config, error) {
	r := reader{getenv: getenv}
	hostname, _ := os.Hostname() // only shown
	c := config{
		port:          r.whole("PORT", 8080, 1, 65535),
		version:       version,
		environment:   getenv("WEDSYNC_ENVIRONMENT"),
		instance:      getenv("WEDSYNC_INSTANCE"),
		hostname:      hostname,
		startDelay:    r.duration("START_DELAY"),
		healthDelay:   r.duration("HEALTH_DELAY"),
		healthPattern: r.pattern("HEALTH_PATTERN"),
		failHealth:    r.flag("FAIL_HEALTH"),
		hang:          r.flag("HANG"),
		crashAfter:    r.duration("CRASH_AFTER"),
		leak:          r.whole("LEAK", 0, 0, maxLeak),
		ignoreSIGTERM: r.flag("IGNORE_SIGTERM"),
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

func (r *reader) whole(name string, otherwise, least, most int) int {
	s := r.getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		r.fail("%s is %q; write a whole number from %d to %d", name, s, least, most)
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

// pattern is what successive health checks get: "+" passes, "-" does not.
func (r *reader) pattern(name string) string {
	s := r.getenv(name)
	if strings.Trim(s, "+-") != "" {
		r.fail("%s is %q; write + for a check that passes and - for one that does not, for example ++-", name, s)
	}
	return s
}
