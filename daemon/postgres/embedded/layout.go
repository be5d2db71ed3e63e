package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath is the longest path of a socket that every Unix takes.
const maxSocketPath = 103

// layout is where the server's files are, and whose they are.
type layout struct {
	root      string // <data-dir>/postgres
	lock      string
	data      string
	fresh     string // data while it is being made
	log       string
	socketDir string
	account   account
}

// newLayout makes the directory that holds everything and finds out the paths.
func newLayout(dataDir string) (layout, error) {
	dir, err := filepath.Abs(dataDir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return layout{}, fmt.Errorf("find data directory: %w", err)
	}
	root := filepath.Join(dir, "postgres")
	if err := os.Mkdir(root, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return layout{}, fmt.Errorf("make directory for Postgres: %w", err)
	}
	return layout{
		root:      root,
		lock:      filepath.Join(root, "lock"),
		data:      filepath.Join(root, "data"),
		fresh:     filepath.Join(root, "data.new"),
		log:       filepath.Join(root, "server.log"),
		socketDir: socketDir(root),
	}, nil
}

// socketDir is inside the root where the socket's path is short enough for the
// kernel, and else in /tmp under a name that follows from the root.
func socketDir(root string) string {
	dir := filepath.Join(root, "run")
	if len(dir)+len("/.s.PGSQL."+port) <= maxSocketPath {
		return dir
	}
	sum := sha256.Sum256([]byte(root))
	return filepath.Join("/tmp", "wedsync-"+hex.EncodeToString(sum[:8]))
}

// make finds the server's account and makes the directories that are its own.
func (l *layout) make() error {
	var err error
	if l.account, err = findAccount(l.data); err != nil {
		return err
	}
	return l.account.makeDir(l.socketDir)
}

// adopt finds the account of a layout that another process has made.
func (l *layout) adopt() error {
	var err error
	l.account, err = findAccount(l.data)
	return err
}

// clean removes the socket's directory where it is not in the data directory.
func (l *layout) clean() {
	if filepath.Dir(l.socketDir) != l.root {
		_ = os.Remove(l.socketDir) // stays where something else is in it
	}
}

// account is the user that the server runs as.
type account struct {
	uid, gid uint32
	switched bool // another one than the daemon's
}

// makeDir makes a directory that only the account may enter. One that is there
// must be so already, so that nobody can put theirs in its place.
func (a account) makeDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if err == nil && a.switched {
		err = os.Chown(path, int(a.uid), int(a.gid))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory for Postgres: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("make directory for Postgres: %w", err)
	}
	owner, _ := ownerOf(info)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || owner != a.uid {
		return fmt.Errorf("the directory %s must belong to user %d and be closed to others (mode 0700): remove it", path, a.uid)
	}
	return nil
}

// mayReach reports whether the account may pass through all directories above path.
func (a account) mayReach(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || !a.mayPass(info) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (a account) mayPass(info fs.FileInfo) bool {
	uid, gid := ownerOf(info)
	switch mode := info.Mode().Perm(); {
	case uid == a.uid:
		return mode&0o100 != 0
	case gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

func ownerOf(info fs.FileInfo) (uid, gid uint32) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0
	}
	return stat.Uid, stat.Gid
}

// AppURL is where the server of a data directory is found by its unprivileged
// role, whether it runs or not.
func AppURL(dataDir string) (string, error) {
	l, err := newLayout(dataDir)
	if err != nil {
		return "", err
	}
	return l.url(appRole, database), nil
}

// url is the DSN of the server's socket.
func (l layout) url(user, database string) string {
	query := url.Values{"host": {l.socketDir}, "port": {port}}
	u := url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}
