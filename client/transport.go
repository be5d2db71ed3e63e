package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const (
	// maxAnswer bounds the body of an answer: more than any page of a list needs.
	maxAnswer = 64 << 20
	// maxRetryAfter bounds the pause that a Retry-After header can ask for.
	maxRetryAfter = time.Minute
)

var errAnswerTooLarge = fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)

// call does one operation: it sends in (nil for no body) and decodes a 2xx
// answer into out (nil to ignore it).
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	req, err := c.newRequest(ctx, method, path, query, in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	status, header, body, err := c.send(req)
	if err != nil {
		return c.transportError(ctx, method, path, err)
	}
	if status < 200 || status > 299 {
		return newError(method, path, status, header, body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w; is %s a wedsyncd?", method, path, err, c.endpoint)
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, method, path string, query url.Values, in any) (*retryablehttp.Request, error) {
	var body any // an untyped nil means no body
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = data
	}
	target := c.endpoint + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", c.agent)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		req.Header.Set(api.HeaderIdempotencyKey, idempotencyKey(ctx))
	}
	return req, nil
}

// send does the attempts. The answer is read within an attempt, so that a
// connection lost in the middle of it is retried too.
func (c *Client) send(req *retryablehttp.Request) (status int, header http.Header, body []byte, err error) {
	req.SetResponseHandler(func(resp *http.Response) (err error) {
		body, err = readAnswer(resp)
		return err
	})
	resp, err := c.http.Do(req)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		return 0, nil, nil, err
	}
	if retryableStatus(resp.StatusCode) {
		// Retries ran out: the handler above has not seen this answer.
		if body, err = readAnswer(resp); err != nil {
			return 0, nil, nil, err
		}
	}
	return resp.StatusCode, resp.Header, body, nil
}

func readAnswer(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case n > maxAnswer:
		return nil, errAnswerTooLarge
	}
	return b.Bytes(), nil
}

func retryableStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// checkRetry repeats what repeating may help: lost connections and the statuses
// above. Mutations are safe to repeat because they carry an idempotency key.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, errAnswerTooLarge):
		return false, err
	case err != nil:
		return retryablehttp.ErrorPropagatedRetryPolicy(ctx, nil, err)
	default:
		return retryableStatus(resp.StatusCode), nil
	}
}

// backoff doubles the pause with every attempt and takes a random part of its
// upper half, so that clients that failed together do not return together. A
// Retry-After header wins, up to a bound.
func backoff(low, high time.Duration, attempt int, resp *http.Response) time.Duration {
	if resp != nil {
		if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
			return min(d, maxRetryAfter)
		}
	}
	d := high
	if attempt < 30 && low<<attempt < high {
		d = low << attempt
	}
	return d/2 + rand.N(d/2+1)
}

// retryAfter reads the header's two forms: seconds and an HTTP date.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

func (c *Client) logAttempt(_ retryablehttp.Logger, req *http.Request, attempt int) {
	c.logger.DebugContext(req.Context(), "sending request",
		slog.String("method", req.Method),
		slog.String("path", req.URL.RequestURI()),
		slog.String("idempotency_key", req.Header.Get(api.HeaderIdempotencyKey)),
		slog.Int("attempt", attempt+1))
}

func (c *Client) logAnswer(_ retryablehttp.Logger, resp *http.Response) {
	c.logger.DebugContext(resp.Request.Context(), "received answer",
		slog.String("method", resp.Request.Method),
		slog.String("path", resp.Request.URL.RequestURI()),
		slog.Int("status", resp.StatusCode))
}
