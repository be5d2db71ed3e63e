package traffic

import (
	"io"
	"net/http"
	"testing"
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
