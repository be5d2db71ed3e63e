package traffic

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// The head of an answer does not wait for its body, which may be long in coming:
// a client that subscribes to events wants to know that it has.
func TestHeadComesBeforeBody(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(rw).Flush()
		<-release
		_, _ = io.WriteString(rw, "body")
	}))
	t.Cleanup(func() { close(release) }) // before the instance's server waits for its requests
	for name, te := range map[string]string{"directly": "", "by way of net/http": "trailers"} {
		t.Run(name, func(t *testing.T) {
			r := w.request(http.MethodGet, "api", "/", nil)
			if te != "" {
				r.Header.Set("Te", te)
			}
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			release <- struct{}{}
			if b, err := io.ReadAll(res.Body); err != nil || string(b) != "body" {
				t.Errorf("the body is %q, %v", b, err)
			}
		})
	}
}

// A request that has found its service just before all instances are replaced
// goes to the new ones.
func TestEverybodyLeavesAtOnce(t *testing.T) {
	w := newWorld(t)
	old := w.instance("api", says("old"))
	r := w.request(http.MethodPost, "api", "/", nil)
	m, no := w.locate(r)
	if no != nil {
		t.Fatal(no)
	}
	x := &exchange{match: m}
	x.choose(r)
	x.watch.response, x.watch.idle = time.Minute, time.Minute
	x.watch.start(false)
	defer x.watch.stop()
	recent := w.instance("api", says("new"))
	w.remove(old)
	res, err := w.offer(x, r, func(*http.Request, *backend) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	defer x.backend.leave()
	if x.backend.endpoint.ID != recent {
		t.Errorf("%s answered, want %s", x.backend.endpoint.ID, recent)
	}
}

// What broke off and may be repeated is repeated at an instance that has come meanwhile.
func TestRepeatedWhereEverybodyElseHasLeft(t *testing.T) {
	w := newWorld(t)
	asked, end := make(chan struct{}), make(chan struct{})
	old := w.instance("api", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-end
		panic(http.ErrAbortHandler)
	}))
	answers := make(chan string, 1)
	go func() {
		_, body := w.get("api", "/")
		answers <- body
	}()
	<-asked
	w.instance("api", says("new"))
	w.remove(old)
	close(end)
	if got := <-answers; got != "new" {
		t.Errorf("answered with %q", got)
	}
}

// An instance that is healthy again is connected to again.
func TestLostAndFoundAgain(t *testing.T) {
	w := newWorld(t)
	id := w.instance("api", echo)
	for _, healthy := range []bool{false, false, true, false, true} {
		w.change(id, func(e *fleet.Endpoint) { e.Healthy = healthy })
		for name, te := range map[string]string{"directly": "", "by way of net/http": "trailers"} {
			r := w.request(http.MethodPost, "api", "/", strings.NewReader("hello"))
			if te != "" {
				r.Header.Set("Te", te)
			}
			if status, body := w.do(r); healthy != (status == http.StatusOK && body == "hello") {
				t.Errorf("healthy %t, %s: %d %q", healthy, name, status, body)
			}
		}
	}
}

// However often the only instance is replaced, no request fails.
func TestReplacementsUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.instance("api", echo)
	url := w.traffic.Endpoints[0].URL
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer stop()
	for range 8 {
		callers.Go(func() {
			for ctx.Err() == nil {
				res, err := client.Do(w.request(http.MethodPost, "api", "/", strings.NewReader("hello")))
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK || err != nil || string(b) != "hello" {
					t.Errorf("%s %q, %v", res.Status, b, err)
					return
				}
			}
		})
	}
	var id string
	for range 1000 {
		w.traffic.Endpoints = nil
		id = w.endpoint("api", url) // takes the place of the one before, in one snapshot
	}
	await(t, "the last one is used", func() bool { return w.backendOf(id).read().answers[2] > 0 })
}
