package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// reloadEvery is how often the folder of certificates is looked at.
const reloadEvery = 5 * time.Second

// keyPairs are the certificates of a folder: NAME.crt, the chain in PEM, beside
// NAME.key. What changes there is used from the next handshake on.
type keyPairs struct {
	dir   string
	log   *slog.Logger
	every time.Duration
	now   atomic.Pointer[pairSet]

	mu   sync.Mutex
	seen string // what the folder looked like when it was read
}

// pairSet is what a folder held. It is immutable.
type pairSet struct {
	// files are the certificates by the names of their files.
	files map[string]*tls.Certificate
	// exact are certificates by host, wild by what follows "*."; each in the order of the files' names.
	exact, wild map[string][]*tls.Certificate
	// only is the one certificate, where there is just one: for clients that name no host.
	only *tls.Certificate
}

// openKeyPairs reads a folder; an empty name is one without certificates. Every
// pair in it must be good.
func openKeyPairs(dir string, log *slog.Logger) (*keyPairs, error) {
	k := &keyPairs{dir: dir, log: log, every: reloadEvery}
	k.now.Store(newPairSet(nil))
	if dir == "" {
		return k, nil
	}
	if err := errors.Join(k.read()...); err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	if len(k.now.Load().files) == 0 {
		log.Warn("the folder of certificates has no pair of NAME.crt and NAME.key yet", "folder", dir)
	}
	return k, nil
}

// watch reads the folder again whenever it has changed, until ctx ends.
func (k *keyPairs) watch(ctx context.Context) {
	if k.dir == "" {
		return
	}
	ticker := time.NewTicker(k.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, err := range k.read() {
				k.log.Warn("cannot use a certificate; one that was there before stays in use", "error", err)
			}
		}
	}
}

// read reads the folder if it has changed. A pair that is not good is an error,
// and the one that was there under its name before stays.
func (k *keyPairs) read() []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	names, looks, err := survey(k.dir)
	if err != nil {
		return []error{err}
	}
	if looks == k.seen {
		return nil
	}
	k.seen = looks
	before := k.now.Load().files
	files := make(map[string]*tls.Certificate, len(names))
	var errs []error
	for _, name := range names {
		c, err := readPair(filepath.Join(k.dir, name))
		if err != nil {
			errs = append(errs, err)
			if c = before[name]; c == nil {
				continue
			}
		}
		files[name] = c
	}
	k.now.Store(newPairSet(files))
	if before != nil {
		k.log.Info("read certificates", "folder", k.dir, "certificates", len(files))
	}
	return errs
}

// survey lists the pairs of a folder in order, and tells what its files look like.
func survey(dir string) (names []string, looks string, err error) {
	entries, err := os.ReadDir(dir) // in order
	if err != nil {
		return nil, "", err
	}
	var b strings.Builder
	last := ""
	for _, e := range entries {
		name, isCrt := strings.CutSuffix(e.Name(), ".crt")
		if !isCrt {
			var isKey bool
			if name, isKey = strings.CutSuffix(e.Name(), ".key"); !isKey {
				continue
			}
		}
		info, err := os.Stat(filepath.Join(dir, e.Name())) // what a link leads to
		if err != nil {
			return nil, "", err
		}
		fmt.Fprintln(&b, e.Name(), info.Size(), info.ModTime().UnixNano())
		if name != last {
			names = append(names, name)
		}
		last = name
	}
	return names, b.String(), nil
}

// readPair reads PATH.crt and PATH.key.
func readPair(path string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		return nil, fmt.Errorf("pair %s.crt and .key: %w", path, err)
	}
	if len(c.Leaf.DNSNames) == 0 {
		return nil, fmt.Errorf("certificate %s.crt is for no host: it has no DNS name among its subject alternative names", path)
	}
	return &c, nil
}

func newPairSet(files map[string]*tls.Certificate) *pairSet {
	s := &pairSet{files: files, exact: make(map[string][]*tls.Certificate), wild: make(map[string][]*tls.Certificate)}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c := files[name]
		for _, host := range c.Leaf.DNSNames {
			host = strings.ToLower(host)
			if parent, ok := strings.CutPrefix(host, "*."); ok {
				s.wild[parent] = append(s.wild[parent], c)
			} else {
				s.exact[host] = append(s.exact[host], c)
			}
		}
		s.only = c
	}
	if len(files) != 1 {
		s.only = nil
	}
	return s
}

// find are the certificates for a host, in lower case; those of its own name come
// before wildcards'. An empty name is that of a client that names none.
func (s *pairSet) find(host string) []*tls.Certificate {
	if host == "" {
		if s.only == nil {
			return nil
		}
		return []*tls.Certificate{s.only}
	}
	if c := s.exact[host]; c != nil {
		return c
	}
	_, parent, _ := strings.Cut(host, ".")
	return s.wild[parent]
}

// pick is the certificate for a handshake: of several the first that the client can use.
func (s *pairSet) pick(host string, hello *tls.ClientHelloInfo) *tls.Certificate {
	found := s.find(host)
	for _, c := range found {
		if hello.SupportsCertificate(c) == nil {
			return c
		}
	}
	if len(found) > 0 {
		return found[0]
	}
	return nil
}
