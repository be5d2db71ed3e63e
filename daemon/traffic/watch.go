package traffic

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Why a request is ended before its time.
var (
	errLateBody = errors.New("the request's body stood still")
	errSlow     = errors.New("the instance did not begin its answer in time")
	errStill    = errors.New("the answer stood still")
	errGone     = errors.New("the client has gone")
)

// Phases of a request.
const (
	phaseUpload int32 = iota // its body comes
	phaseWait                // its body is there, the answer has not begun
	phaseAnswer              // the answer comes
	phaseOver
)

// watch ends a request that stands still, or whose client has gone. One timer does
// for all phases; it is set anew whenever something moves.
type watch struct {
	timer          *time.Timer
	phase          atomic.Int32
	response, idle time.Duration
	controller     *http.ResponseController

	mu     sync.Mutex
	why    error
	cancel context.CancelFunc // ends what net/http does for the request
	conn   io.Closer          // the connection to the instance, where it is the balancer's own
}

// start begins with the upload, or the wait for the answer where there is none.
func (w *watch) start(uploads bool) {
	d := w.response
	if uploads {
		d = w.idle
	} else {
		w.phase.Store(phaseWait)
	}
	w.timer = time.AfterFunc(d, w.expire)
}

// uploaded notes that some of the body has come, or all.
func (w *watch) uploaded(ended bool) {
	switch phase := w.phase.Load(); {
	case phase == phaseOver:
	case phase == phaseAnswer, !ended:
		w.timer.Reset(w.idle)
	case w.phase.CompareAndSwap(phaseUpload, phaseWait):
		w.timer.Reset(w.response)
	}
}

// answered notes that the answer begins, or goes on.
func (w *watch) answered() {
	for phase := w.phase.Load(); phase != phaseAnswer; phase = w.phase.Load() {
		if phase == phaseOver || w.phase.CompareAndSwap(phase, phaseAnswer) {
			break
		}
	}
	w.timer.Reset(w.idle)
}

// stop is the end of the request. What expires afterwards touches nothing: the
// connection may carry the next one.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase.Store(phaseOver)
	w.timer.Stop()
}

// expire ends the request, for the reason of its phase. Deadlines in the past wake
// who reads from the client, or writes to it.
func (w *watch) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	past := time.Unix(1, 0)
	switch w.phase.Load() {
	case phaseUpload:
		w.endLocked(errLateBody)
		_ = w.controller.SetReadDeadline(past)
	case phaseWait:
		w.endLocked(errSlow)
	case phaseAnswer:
		w.endLocked(errStill)
		_ = w.controller.SetWriteDeadline(past)
	default:
	}
}

// gone ends the request because nobody waits for its answer any more.
func (w *watch) gone() { w.end(errGone) }

// end ends what is done for the request; the first reason is the one that counts.
func (w *watch) end(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endLocked(why)
}

func (w *watch) endLocked(why error) {
	if w.why == nil {
		w.why = why
	}
	if w.cancel != nil {
		w.cancel()
	}
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

// hold has the watch close a connection when it ends the request; false when it
// has ended it already.
func (w *watch) hold(c io.Closer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why != nil && c != nil {
		return false
	}
	w.conn = c
	return true
}

// cause is why the request was ended; nil while it was not.
func (w *watch) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

func (w *watch) ended() bool { return w.cause() != nil }
