package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
)

// ErrNotInstalled says that the machine has no Postgres server programs. Its message says what to install.
var ErrNotInstalled = errors.New("no Postgres server programs (initdb, postgres) are installed: install them, on Debian and Ubuntu with apt-get install postgresql")

// places are where systems put the server programs, beside the PATH.
var places = []string{
	"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                   // PGDG on Red Hat
	"/usr/libexec/postgresql*",           // Alpine
	"/usr/lib/postgresql*/bin",           // SUSE
	"/usr/lib64/postgresql-*/bin",        // Gentoo
	"/usr/local/pgsql/bin",               // built from source
	"/opt/homebrew/opt/postgresql@*/bin", // macOS
	"/usr/local/opt/postgresql@*/bin",
}

// binaries are the server programs of one version.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// findBinaries chooses the programs for a cluster of the given major version, or
// with zero the newest.
func findBinaries(ctx context.Context, a account, major int) (binaries, error) {
	found := installed(ctx, a)
	slices.SortFunc(found, func(x, y binaries) int { return y.major - x.major })
	if major != 0 {
		return matching(found, major)
	}
	switch {
	case len(found) == 0:
		return binaries{}, ErrNotInstalled
	case found[0].major < postgres.MinServerVersion:
		return binaries{}, fmt.Errorf("%w; the newest here is Postgres %d, wedsyncd needs %d or newer", ErrNotInstalled, found[0].major, postgres.MinServerVersion)
	}
	return found[0], nil
}

func matching(found []binaries, major int) (binaries, error) {
	var versions []string
	for _, b := range found {
		if b.major == major {
			return b, nil
		}
		versions = append(versions, strconv.Itoa(b.major))
	}
	if len(found) == 0 {
		return binaries{}, fmt.Errorf("%w (the data directory holds a database of Postgres %d)", ErrNotInstalled, major)
	}
	return binaries{}, fmt.Errorf("the data directory holds a database of Postgres %d, but this machine has Postgres %s: install version %d (on Debian and Ubuntu apt-get install postgresql-%d), or move the database with pg_upgrade",
		major, strings.Join(versions, ", "), major, major)
}

// installed lists the programs that the account may run, each directory once.
func installed(ctx context.Context, a account) []binaries {
	var dirs []string
	for _, program := range []string{"postgres", "initdb"} {
		if p, err := exec.LookPath(program); err == nil {
			dirs = append(dirs, p)
		}
	}
	for n, p := range dirs {
		if target, err := filepath.EvalSymlinks(p); err == nil {
			dirs[n] = filepath.Dir(target)
		}
	}
	for _, pattern := range places {
		matches, _ := filepath.Glob(pattern) // the patterns are valid
		dirs = append(dirs, matches...)
	}
	var found []binaries
	seen := map[string]bool{}
	for _, dir := range dirs {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		if b, ok := inspect(ctx, a, dir); ok {
			found = append(found, b)
		}
	}
	return found
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func inspect(ctx context.Context, a account, dir string) (binaries, bool) {
	b := binaries{dir: dir}
	for _, program := range []string{"postgres", "initdb"} {
		info, err := os.Stat(b.path(program))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 || a.switched && !a.mayReach(b.path(program)) {
			return b, false
		}
	}
	out, err := exec.CommandContext(ctx, b.path("postgres"), "--version").Output()
	if err != nil {
		return b, false
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return b, false
	}
	b.major, err = strconv.Atoi(string(m[1]))
	return b, err == nil
}
