package traffic

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxKept is the largest body that is kept to be sent again.
	maxKept = 64 << 10
	// lingering bounds how long the rest of a body that nobody read is waited for.
	lingering = time.Second
)

var (
	errBodySize = errors.New("the request's body is larger than the route allows")
	errOver     = errors.New("the attempt that read the request's body is over")
)

// upload is a request's body on its way. Attempts at sending it take turns: a new
// one begins only while nobody reads, and then from the beginning, which is kept
// when the body is small.
type upload struct {
	src   io.Reader
	limit int64
	// moved is called after bytes were read, with whether the body has ended.
	moved func(ended bool)

	mu      sync.Mutex
	done    sync.Cond // reading has become false
	reading bool
	ended   bool
	closed  bool
	current *attempt
	count   int64
	keep    bool
	kept    []byte
}

func newUpload(r *http.Request, limit int64, moved func(ended bool)) *upload {
	u := &upload{src: r.Body, limit: limit, moved: moved, keep: r.ContentLength > 0 && r.ContentLength <= maxKept}
	u.done.L = &u.mu
	return u
}

// attempt is the body as one attempt at sending it reads it.
type attempt struct {
	upload *upload
	at     int // in what is kept
}

// begin starts an attempt; false when the body cannot be read from its beginning
// any more. Who read it before reads nothing any more.
func (u *upload) begin() (*attempt, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reading || u.closed || u.count > 0 && !u.keep {
		return nil, false
	}
	u.current = &attempt{upload: u}
	return u.current, true
}

// again is begin for http.Request.GetBody.
func (u *upload) again() (io.ReadCloser, error) {
	a, ok := u.begin()
	if !ok {
		return nil, errOver
	}
	return a, nil
}

// Read reads on, first from what is kept.
func (a *attempt) Read(p []byte) (int, error) {
	u := a.upload
	u.mu.Lock()
	if u.current != a || u.closed {
		u.mu.Unlock()
		return 0, errOver
	}
	if a.at < len(u.kept) {
		n := copy(p, u.kept[a.at:])
		a.at += n
		var err error
		if u.ended && a.at == len(u.kept) {
			err = io.EOF
		}
		u.mu.Unlock()
		return n, err
	}
	if u.ended {
		u.mu.Unlock()
		return 0, io.EOF
	}
	u.reading = true
	u.mu.Unlock()
	n, err := u.src.Read(p)
	return n, u.note(a, p[:n], err)
}

// note keeps account of what was read.
func (u *upload) note(a *attempt, p []byte, err error) error {
	u.mu.Lock()
	u.reading = false
	u.count += int64(len(p))
	if u.keep {
		u.kept = append(u.kept, p...)
		a.at = len(u.kept)
	}
	if errors.Is(err, io.EOF) {
		u.ended = true
	}
	ended := u.ended
	over := u.limit > 0 && u.count > u.limit
	u.done.Broadcast()
	u.mu.Unlock()
	u.moved(ended)
	if over {
		return errBodySize
	}
	return err
}

// Close ends nothing: the body is the server's.
func (a *attempt) Close() error { return nil }

// read is how much of the body has been read.
func (u *upload) read() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.count
}

// finished reports whether the body has been read to its end.
func (u *upload) finished() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended
}

// finish takes the body away from who still reads it, and waits until nobody
// does: the server may not be asked for it once the handler has returned. What the
// client still sends is waited for, for a moment, by the server.
func (u *upload) finish(controller *http.ResponseController) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	if u.ended {
		return
	}
	for u.reading {
		_ = controller.SetReadDeadline(time.Unix(1, 0))
		u.done.Wait()
	}
	_ = controller.SetReadDeadline(time.Now().Add(lingering))
}

// whole is the whole body of one that is kept.
func (u *upload) whole(length int64) ([]byte, error) {
	a, ok := u.begin()
	if !ok {
		return nil, errOver
	}
	u.kept = make([]byte, 0, length+1) // the end is read too
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{a}); err != nil {
		return nil, err
	}
	return u.kept, nil
}
