package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestHalfSentAnswerIsCutOff panics after a part of the answer went out: the
// connection must break, for the client would take the part for the whole.
func TestHalfSentAnswerIsCutOff(t *testing.T) {
	for _, cause := range []any{"the sky falls", http.ErrAbortHandler} {
		handler := identify(recoverPanics(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := w.Write([]byte(`{"half":`)); err != nil {
				t.Error(err)
			}
			panic(cause)
		})))
		answer := httptest.NewRecorder()
		got := func() (got any) {
			defer func() { got = recover() }()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
			return nil
		}()
		if err, ok := got.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("after %v the server is told %v, want http.ErrAbortHandler", cause, got)
		}
		if answer.Code != 200 || answer.Body.String() != `{"half":` {
			t.Errorf("after %v the answer is %d %s", cause, answer.Code, answer.Body)
		}
	}
}
