package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// prober requests health endpoints. A status of 200 to 399 passes.
type prober struct{ client *http.Client }

func newProber() prober {
	return prober{client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // containers are reached directly
			DialContext:            (&net.Dialer{}).DialContext,
			DisableKeepAlives:      true, // a reused connection would prove less
			MaxResponseHeaderBytes: 64 << 10,
		},
	}}
}

// probe does one check. It always yields a result; what went wrong is in its details.
func (p prober) probe(ctx context.Context, t fleet.HealthTarget) fleet.HealthResult {
	began := time.Now()
	details, ok := p.request(ctx, t)
	r := fleet.HealthResult{
		Timestamp:    began.UTC().Truncate(time.Microsecond), // the store's resolution
		Status:       fleet.HealthUnhealthy,
		ResponseTime: float64(time.Since(began).Microseconds()) / 1000,
		Details:      details,
	}
	if ok {
		r.Status = fleet.HealthHealthy
	}
	return r
}

func (p prober) request(ctx context.Context, t fleet.HealthTarget) (details string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.Check.Timeout)*time.Second)
	defer cancel()
	path, query, _ := strings.Cut(t.Check.Endpoint, "?")
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(t.Address, strconv.Itoa(t.Port)), Path: path, RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return fmt.Sprintf("cannot request %s: %v", t.Check.Endpoint, err), false
	}
	req.Header.Set("User-Agent", "wedsyncd-health")
	res, err := p.client.Do(req)
	if err != nil {
		return fmt.Sprintf("GET %s on port %d: %s", t.Check.Endpoint, t.Port, cause(err, t.Check.Timeout)), false
	}
	_ = res.Body.Close()
	return fmt.Sprintf("GET %s on port %d: status %d", t.Check.Endpoint, t.Port, res.StatusCode), res.StatusCode >= 200 && res.StatusCode < 400
}

// cause is an error in words that name no address, which says nothing to people.
func cause(err error, timeout int) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return fmt.Sprintf("no answer within %d s", timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "address unreachable"
	default:
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return err.Error()
	}
}
