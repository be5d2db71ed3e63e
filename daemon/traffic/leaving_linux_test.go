package traffic

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// deaf is an address at which nobody answers, as that of a container which has
// died: a listener whose queue is full.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.(*syscall.SockaddrInet4).Port))
	for refused, n := 0, 0; n < 20; n++ { // one that times out may have met a slow machine
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			refused = 0
			t.Cleanup(func() { _ = conn.Close() })
			continue
		}
		if refused++; refused == 2 {
			return address
		}
	}
	t.Fatal("the listener's queue does not fill")
	return ""
}

// A request that tries to reach an instance which has died goes on to another one
// as soon as the registry says so, whatever its method.
func TestLostInstancesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, te := range map[string]string{"directly": "", "by way of net/http": "trailers"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			dead := w.endpoint("api", "http://"+deaf(t))
			type answer struct {
				status int
				body   string
			}
			answers := make(chan answer, 1)
			r := w.request(http.MethodPost, "api", "/", strings.NewReader("hello"))
			if te != "" {
				r.Header.Set("Te", te)
			}
			go func() {
				res, err := client.Do(r)
				if err != nil { // it waits for connectTimeout
					answers <- answer{0, err.Error()}
					return
				}
				body, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				answers <- answer{res.StatusCode, string(body)}
			}()
			await(t, "the instance is tried", func() bool { return w.backendOf(dead).inFlight.Load() == 1 })
			w.instance("api", echo)
			w.change(dead, func(e *fleet.Endpoint) { e.Healthy = false })
			if got := <-answers; got != (answer{200, "hello"}) {
				t.Errorf("answered with %v", got)
			}
			if n := w.backendOf(dead).read().answers[0]; n != 0 {
				t.Errorf("the instance is blamed %d times for what the registry knows", n)
			}
		})
	}
}
