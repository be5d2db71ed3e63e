package traffic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// snapshotVersion is raised when older programs could not read the file any more.
const snapshotVersion = 1

// SnapshotFile is a receiver that keeps the newest snapshot in a file, so that a
// balancer that starts while the database is away knows what was last. There are
// no secrets in it.
type SnapshotFile struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	written []byte
}

// NewSnapshotFile makes a receiver that writes to path.
func NewSnapshotFile(path string, log *slog.Logger) *SnapshotFile {
	return &SnapshotFile{path: path, log: log}
}

type snapshotContent struct {
	Version int           `json:"version"`
	Traffic fleet.Traffic `json:"traffic"`
}

// Receive implements Receiver: it writes the file anew when something has changed
// but heartbeats. Who reads it finds the old content or the new one, whole.
func (s *SnapshotFile) Receive(t fleet.Traffic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := json.Marshal(snapshotContent{Version: snapshotVersion, Traffic: withoutHeartbeats(t)}) //nolint:musttag // fields have the names of the version
	if err == nil && bytes.Equal(content, s.written) {
		return
	}
	if err == nil {
		err = replaceFile(s.path, content)
	}
	if err != nil {
		s.log.Warn("cannot keep the newest snapshot for a start without the database", "error", err)
		return
	}
	s.written = content
}

func withoutHeartbeats(t fleet.Traffic) fleet.Traffic {
	endpoints := make([]fleet.Endpoint, len(t.Endpoints))
	for k, e := range t.Endpoints {
		e.LastHeartbeat = time.Time{}
		endpoints[k] = e
	}
	t.Endpoints = endpoints
	return t
}

// replaceFile writes a file that only its owner may read.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// Drained implements Receiver.
func (s *SnapshotFile) Drained(string) bool { return true }

// ReadSnapshot is the snapshot that a file has; false when there is none. A file
// that cannot be read is an error.
func ReadSnapshot(path string) (fleet.Traffic, bool, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.Traffic{}, false, nil
	}
	if err != nil {
		return fleet.Traffic{}, false, fmt.Errorf("read snapshot: %w", err)
	}
	var c snapshotContent
	if err := json.Unmarshal(raw, &c); err != nil { //nolint:musttag // as they were written
		return fleet.Traffic{}, false, fmt.Errorf("read snapshot %s: %w", path, err)
	}
	if c.Version != snapshotVersion {
		return fleet.Traffic{}, false, fmt.Errorf("read snapshot %s: it has version %d, this wedsyncd knows %d", path, c.Version, snapshotVersion)
	}
	return c.Traffic, true, nil
}
