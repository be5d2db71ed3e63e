package client

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// DefaultEndpoint is where wedsyncd serves its API unless it is told otherwise.
const DefaultEndpoint = "http://127.0.0.1:7266"

const (
	defaultRetryMax       = 6
	defaultRetryWaitMin   = 200 * time.Millisecond
	defaultRetryWaitMax   = 5 * time.Second
	defaultAttemptTimeout = 90 * time.Second
)

// Client talks to one wedsyncd. It is safe for concurrent use; make one and keep it.
type Client struct {
	endpoint string // without trailing slash
	token    string
	agent    string
	logger   *slog.Logger
	http     *retryablehttp.Client
}

// Option changes how [New] makes a client.
type Option func(*Client)

// WithLogger logs every attempt at level debug, with the request's context.
// Neither the token nor any body is ever logged. Without it nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *Client) { c.logger = logger }
}

// WithRetries sets how often a request is repeated after its first attempt, and
// the bounds of the pauses in between. Zero retries means one attempt.
func WithRetries(retries int, waitMin, waitMax time.Duration) Option {
	return func(c *Client) {
		c.http.RetryMax = max(retries, 0)
		c.http.RetryWaitMin = waitMin
		c.http.RetryWaitMax = max(waitMin, waitMax)
	}
}

// WithAttemptTimeout bounds each single attempt, answer included; 90 seconds by default.
func WithAttemptTimeout(d time.Duration) Option {
	return func(c *Client) { c.http.HTTPClient.Timeout = d }
}

// WithTransport sets what carries the requests, for proxies, private
// certificate authorities and tests.
func WithTransport(t http.RoundTripper) Option {
	return func(c *Client) { c.http.HTTPClient.Transport = t }
}

// WithUserAgent sets the User-Agent header.
func WithUserAgent(agent string) Option {
	return func(c *Client) { c.agent = agent }
}

// New makes a client of the daemon at endpoint, such as [DefaultEndpoint], that
// authenticates with the bearer token. It does not connect.
func New(endpoint, token string, opts ...Option) (*Client, error) {
	base, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, fmt.Errorf("parse endpoint: %w", err)
	}
	if err := checkToken(token); err != nil {
		return nil, fmt.Errorf("check token: %w", err)
	}
	c := &Client{
		endpoint: base,
		token:    token,
		agent:    "wedsync-go-client",
		logger:   slog.New(slog.DiscardHandler),
		http:     newTransport(),
	}
	for _, opt := range opts {
		opt(c)
	}
	c.http.RequestLogHook = c.logAttempt
	c.http.ResponseLogHook = c.logAnswer
	return c, nil
}

func newTransport() *retryablehttp.Client {
	h := retryablehttp.NewClient()
	h.Logger = nil // attempts are logged by hooks, which see the context
	h.RetryMax = defaultRetryMax
	h.RetryWaitMin = defaultRetryWaitMin
	h.RetryWaitMax = defaultRetryWaitMax
	h.CheckRetry = checkRetry
	h.Backoff = backoff
	h.ErrorHandler = retryablehttp.PassthroughErrorHandler
	h.HTTPClient.Timeout = defaultAttemptTimeout
	// A followed redirect would turn a POST into a GET and could carry the token elsewhere.
	h.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return h
}

// Endpoint is the address of the daemon, without a trailing slash.
func (c *Client) Endpoint() string { return c.endpoint }

func parseEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is not an HTTP address; write for example %s", endpoint, DefaultEndpoint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("the address of %s must not hold a user, query or fragment; write for example %s", u.Host, DefaultEndpoint)
	}
	return strings.TrimRight(endpoint, "/"), nil
}

// checkToken refuses what can't be sent in a header. The token stays out of the message.
func checkToken(token string) error {
	if token == "" {
		return errors.New("the token is empty; take the administrator's from <data-dir>/admin.token or make one with \"wedsyncd token create\"")
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return errors.New("the token holds spaces, line breaks or other characters that no token has; copy it again")
		}
	}
	return nil
}
