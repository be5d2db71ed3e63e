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

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// requester makes HTTP checks.
type requester struct{ client *http.Client }

func newRequester() requester {
	return requester{client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // containers are reached directly
			DialContext:            (&net.Dialer{}).DialContext,
			DisableKeepAlives:      true, // a reused connection would prove less
			MaxResponseHeaderBytes: 64 << 10,
		},
	}}
}

func (r requester) check(ctx context.Context, t fleet.HealthTarget) outcome {
	what := fmt.Sprintf("GET %s on port %d", t.Check.Endpoint, t.Port)
	req, err := request(ctx, t)
	if err != nil {
		return failed("cannot request %s: %v", t.Check.Endpoint, err)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return unanswered(what, err, t.Check.Timeout)
	}
	_ = res.Body.Close()
	return judged(t.Check.Expects(res.StatusCode), "%s: status %d", what, res.StatusCode)
}

// request is the request of a check, with its headers.
func request(ctx context.Context, t fleet.HealthTarget) (*http.Request, error) {
	path, query, _ := strings.Cut(t.Check.Endpoint, "?")
	u := url.URL{Scheme: "http", Host: address(t), Path: path, RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "wedsyncd-health")
	for name, value := range t.Check.Headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}

func address(t fleet.HealthTarget) string { return net.JoinHostPort(t.Address, strconv.Itoa(t.Port)) }

// dialer makes TCP checks: a connection that is accepted passes.
type dialer struct{ net.Dialer }

func (d dialer) check(ctx context.Context, t fleet.HealthTarget) outcome {
	what := fmt.Sprintf("connection to port %d", t.Port)
	conn, err := d.DialContext(ctx, "tcp", address(t))
	if err != nil {
		return unanswered(what, err, t.Check.Timeout)
	}
	_ = conn.Close()
	return passed("%s: accepted", what)
}

// unanswered is a check that got no answer. When this daemon could not even ask,
// that is no verdict.
func unanswered(what string, err error, timeout int) outcome {
	for _, own := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES,
	} {
		if errors.Is(err, own) {
			return undecided("%s: wedsyncd cannot connect: %s", what, own)
		}
	}
	return failed("%s: %s", what, cause(err, timeout))
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
