package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxMessage bounds a message of a WebSocket, in bytes.
	maxMessage = 1 << 20
	// farewell bounds the end of a WebSocket whose client does not answer.
	farewell = 2 * time.Second
)

// echo answers with the request's body, while it still comes.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 { // later versions are full duplex by themselves
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	_, _ = io.Copy(flushing{w, http.NewResponseController(w)}, r.Body)
}

// flushing sends at once what is written to it.
type flushing struct {
	io.Writer

	controller *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.controller.Flush()
}

// events sends a numbered event each so many milliseconds, for ms milliseconds,
// and then one of the type "end".
func (a *app) events(w http.ResponseWriter, r *http.Request) {
	ms, ok := number(w, r, "ms", 1000, 0, maxSlow)
	if !ok {
		return
	}
	every, ok := number(w, r, "every", 100, 1, maxSlow)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := flushing{w, http.NewResponseController(w)}
	for n := range ms / every {
		if _, err := fmt.Fprintf(out, "id: %d\ndata: %s\n\n", n, a.cfg.version); err != nil {
			return
		}
		if !pause(r, milliseconds(every)) {
			return
		}
	}
	fmt.Fprintf(out, "event: end\ndata: %s\n\n", a.cfg.version)
}

// sockets are the WebSockets that are open. The server does not know them any
// more: they are told that it goes away, and waited for.
type sockets struct {
	mu    sync.Mutex
	group sync.WaitGroup
	ended bool
	going chan struct{} // closed when the server goes away
}

// enter counts a WebSocket in, unless the server goes away.
func (s *sockets) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.group.Add(1)
	return true
}

// end tells every WebSocket that the server goes away, and waits until they have
// ended, or ctx has.
func (s *sockets) end(ctx context.Context) {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.going)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// socket answers each message of a WebSocket with the same message.
func (a *app) socket(w http.ResponseWriter, r *http.Request) {
	if !a.sockets.enter() {
		reply(w, http.StatusServiceUnavailable, map[string]string{"error": "the server goes away"})
		return
	}
	defer a.sockets.group.Done()
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: []string{"*"}})
	if err != nil {
		return // it has answered
	}
	c.SetReadLimit(maxMessage)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		repeat(context.WithoutCancel(r.Context()), c)
	}()
	select {
	case <-ended:
	case <-a.sockets.going:
		_ = c.Close(websocket.StatusGoingAway, "the server goes away")
	}
	_ = c.CloseNow()
	<-ended
}

// repeat sends back what it reads until the connection ends.
func repeat(ctx context.Context, c *websocket.Conn) {
	for {
		kind, message, err := c.Read(ctx)
		if err != nil {
			return
		}
		writing, cancel := context.WithTimeout(ctx, farewell)
		err = c.Write(writing, kind, message)
		cancel()
		if err != nil {
			return
		}
	}
}
