package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// visitors are clients that go on asking until they are told to stop.
type visitors struct {
	answered atomic.Int64
	failures chan error
	stop     context.CancelFunc
	gone     sync.WaitGroup
}

// keepAsking has clients ask a service of staging, over connections that they keep.
func keepAsking(t *testing.T, address, service string, clients int) *visitors {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	v := &visitors{failures: make(chan error, 1000), stop: cancel}
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	for k := range clients {
		v.gone.Go(func() {
			method, body := http.MethodGet, ""
			if k%2 == 1 {
				method, body = http.MethodPost, "hello"
			}
			for ctx.Err() == nil {
				err := askOnce(transport, method, "http://"+address+"/version", service+".staging.localhost", body)
				if err == nil {
					v.answered.Add(1)
				} else {
					select {
					case v.failures <- err:
					default:
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		v.gone.Wait()
		transport.CloseIdleConnections()
	})
	return v
}

func askOnce(rt http.RoundTripper, method, url, host, body string) error {
	req, err := http.NewRequest(method, url, struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		return err
	}
	req.Host, req.ContentLength = host, int64(len(body))
	if body == "" {
		req.Body = nil
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode >= http.StatusInternalServerError {
		err = fmt.Errorf("%s: status %d", method, res.StatusCode)
	}
	return err
}

// more waits until a number of further answers have come.
func (v *visitors) more(t *testing.T, n int64) {
	t.Helper()
	want := v.answered.Load() + n
	eventually(t, fmt.Sprintf("%d more answers have come", n), func() bool { return v.answered.Load() >= want })
}

// end stops the clients and returns their failures.
func (v *visitors) end() []error {
	v.stop()
	v.gone.Wait()
	close(v.failures)
	var all []error
	for err := range v.failures {
		all = append(all, err)
	}
	return all
}

// TestBalancerApart: the balancer as a process of its own goes on while the daemon
// is away, is replaced under load, and starts without the database from what it
// last knew; no request fails meanwhile.
func TestBalancerApart(t *testing.T) {
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithoutBalancer())}
	f.client = f.Client(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	f.Balancer(t, pidFile)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 2)
	eventually(t, "the balancer leads to the service", func() bool {
		return askOnce(http.DefaultTransport, http.MethodGet, "http://"+f.Traffic+"/version", "api.staging.localhost", "") == nil
	})

	http.DefaultClient.CloseIdleConnections() // which the balancer that is replaced would wait for
	v := keepAsking(t, f.Traffic, "api", 8)
	v.more(t, 200)
	f.Kill()
	v.more(t, 200)
	f.Start(t)
	f.update(t, d.ID, tag(t, "v2"))
	r := quick("", 2)
	r.RolloutConfig.DrainTime = new(20)
	f.completed(t, f.ask(t, d.ID, r))
	f.runs(t, d.ID, "v2", 2)
	v.more(t, 200)
	for range 3 {
		replace(t, pidFile)
		v.more(t, 500)
	}
	if failures := v.end(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed, first: %v", len(failures), v.answered.Load(), failures[:min(5, len(failures))])
	}

	// Another one that cannot reach the database knows what was last.
	_ = syscall.Kill(pidOf(t, pidFile), syscall.SIGKILL)
	eventually(t, "nobody serves", func() bool {
		conn, err := net.Dial("tcp", f.Traffic)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	f.Balancer(t, filepath.Join(t.TempDir(), "pid"), "WEDSYNC_DATABASE_URL=postgres://wedsync_app@127.0.0.1:1/nowhere")
	eventually(t, "the balancer serves without the database", func() bool {
		return askOnce(http.DefaultTransport, http.MethodPost, "http://"+f.Traffic+"/version", "api.staging.localhost", "hello") == nil
	})
}

func pidOf(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// replace has the balancer start anew, and waits until the new process serves and
// the old one has ended.
func replace(t *testing.T, pidFile string) {
	t.Helper()
	old := pidOf(t, pidFile)
	if err := syscall.Kill(old, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process serves", func() bool { return pidOf(t, pidFile) != old })
	eventually(t, "the process before it has ended", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", old))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}
