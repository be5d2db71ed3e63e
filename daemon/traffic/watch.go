package traffic

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// Why a request is ended before its time.
var (
	errLateBody = errors.New("the request's body stood still")
	errSlow     = errors.New("the instance did not begin its answer in time")
	errStill    = errors.New("the answer stood still")
)

// Phases of a request.
const (
	phaseUpload int32 = iota // its body comes
	phaseWait                // its body is there, the answer has not begun
	phaseAnswer              // the answer comes
	phaseOver
)

// watch ends a request that stands still. One timer does for all its phases; it is
// set anew whenever something moves.
type watch struct {
	timer          *time.Timer
	phase          atomic.Int32
	response, idle time.Duration
	cancel         context.CancelCauseFunc
	controller     *http.ResponseController
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
	switch {
	case w.phase.Load() == phaseAnswer:
		w.timer.Reset(w.idle)
	case ended && w.phase.CompareAndSwap(phaseUpload, phaseWait):
		w.timer.Reset(w.response)
	case !ended:
		w.timer.Reset(w.idle)
	}
}

// answered notes that the answer begins, or goes on.
func (w *watch) answered() {
	if w.phase.Load() != phaseAnswer {
		w.phase.Store(phaseAnswer)
	}
	w.timer.Reset(w.idle)
}

// stop is the end of the request.
func (w *watch) stop() {
	w.phase.Store(phaseOver)
	w.timer.Stop()
}

// expire ends the request, for the reason of its phase. Deadlines in the past wake
// who reads from the client, or writes to it.
func (w *watch) expire() {
	past := time.Unix(1, 0)
	switch w.phase.Load() {
	case phaseUpload:
		w.cancel(errLateBody)
		_ = w.controller.SetReadDeadline(past)
	case phaseWait:
		w.cancel(errSlow)
	case phaseAnswer:
		w.cancel(errStill)
		_ = w.controller.SetWriteDeadline(past)
	default:
	}
}
