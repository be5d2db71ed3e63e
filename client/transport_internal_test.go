package client

import (
	"net/http"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	const low, high = 100 * time.Millisecond, time.Second
	tests := []struct {
		name       string
		attempt    int
		retryAfter string
		least      time.Duration
		most       time.Duration
	}{
		{"first", 0, "", 50 * time.Millisecond, 100 * time.Millisecond},
		{"third", 2, "", 200 * time.Millisecond, 400 * time.Millisecond},
		{"bounded", 9, "", 500 * time.Millisecond, time.Second},
		{"far beyond", 1 << 20, "", 500 * time.Millisecond, time.Second},
		{"asked for", 0, "7", 7 * time.Second, 7 * time.Second},
		{"asked for now", 5, "0", 0, 0},
		{"asked for too much", 0, "86400", maxRetryAfter, maxRetryAfter},
		{"date in the past", 0, "Fri, 31 Dec 1999 23:59:59 GMT", 0, 0},
		{"nonsense", 0, "soon", 50 * time.Millisecond, 100 * time.Millisecond},
		{"negative", 0, "-3", 50 * time.Millisecond, 100 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var resp *http.Response
			if tt.retryAfter != "" {
				resp = &http.Response{Header: http.Header{"Retry-After": {tt.retryAfter}}}
			}
			for range 50 {
				if d := backoff(low, high, tt.attempt, resp); d < tt.least || d > tt.most {
					t.Fatalf("pause %s, want %s to %s", d, tt.least, tt.most)
				}
			}
		})
	}
}

func TestRetryAfterDate(t *testing.T) {
	now := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	d, ok := retryAfter(now.Add(90*time.Second).Format(http.TimeFormat), now)
	if !ok || d != 90*time.Second {
		t.Errorf("%s, %v, want 90s", d, ok)
	}
}
