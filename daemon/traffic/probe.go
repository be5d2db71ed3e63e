package traffic

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// probeTime bounds one probe.
const probeTime = 2 * time.Second

// prober asks endpoints whether they are there.
type prober struct{ client *http.Client }

func newProber() prober {
	return prober{client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}, // and no proxy
	}}
}

// probe requests what the endpoint says is to be checked, which has to answer with a
// status of 200 to 399; where it says nothing, it has to take a connection.
func (p prober) probe(ctx context.Context, e fleet.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if e.HealthCheckURL == "" {
		return connect(ctx, e.URL)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.HealthCheckURL, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "wedsyncd-health")
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("GET %s: status %d", e.HealthCheckURL, res.StatusCode)
	}
	return nil
}

func connect(ctx context.Context, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	return conn.Close()
}
