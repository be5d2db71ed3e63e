package traffic

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var (
	benchSlices = flag.Int("bench-slices", 12, "how often BenchmarkPeers measures each balancer")
	benchSlice  = flag.Duration("bench-slice", 2*time.Second, "how long each of its measurements takes")
	// benchBackends makes the test binary a balancer before these addresses, at benchListen.
	benchBackends = flag.String("bench-backends", "", "for BenchmarkPeers' own use")
	benchListen   = flag.String("bench-listen", "", "for BenchmarkPeers' own use")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *benchListen != "" {
		if err := balanceForBench(*benchListen, strings.Split(*benchBackends, ",")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	connectTimeout = 2 * patience // no test ends well because of it
	os.Exit(m.Run())
}

// balanceForBench is the balancer as a process of its own, as the peers are.
func balanceForBench(listen string, backends []string) error {
	b := NewBalancer(Config{Domain: "localhost", Logger: slog.New(slog.DiscardHandler)})
	var t fleet.Traffic
	for k, address := range backends {
		t.Endpoints = append(t.Endpoints, fleet.Endpoint{
			ID: strconv.Itoa(k), InstanceID: strconv.Itoa(k), ServiceName: "api", Environment: "bench", URL: "http://" + address, Healthy: true, Weight: 100,
		})
	}
	b.Receive(t)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	return b.Serve(context.Background(), l, 0)
}

// benchHost is the host that every request of the benchmark names.
const benchHost = "api.bench.localhost"

// peer is a balancer in a process of its own.
type peer struct {
	name    string
	address string
	pid     int
	// Of each slice: requests a second, requests a second of CPU time, and the
	// 99th percentile at a fixed rate.
	throughput, perCPU []float64
	late               []float64
}

// BenchmarkPeers measures the balancer beside HAProxy, nginx and Caddy: the same
// backends, the same load generator, in turn, one after the other in every round.
// Each has one thread for its work: nbthread 1, one worker, GOMAXPROCS 1. CPU time
// is of the balancer's process and its children, as /proc tells it.
func BenchmarkPeers(b *testing.B) {
	dir := b.TempDir()
	backends := startBackends(b, dir)
	peers := []*peer{
		startSelf(b, backends), startHAProxy(b, dir, backends), startNginx(b, dir, backends), startCaddy(b, dir, backends),
	}
	for _, p := range peers {
		awaitAnswer(b, p.address)
		runWrk(b, p.address, time.Second) // warm
	}
	for range b.N {
		for round := range *benchSlices {
			for k := range peers {
				measure(b, peers[(round+k)%len(peers)])
			}
		}
	}
	report(b, peers)
}

func measure(b *testing.B, p *peer) {
	before := cpuTime(b, p.pid)
	requests, seconds := runWrk(b, p.address, *benchSlice)
	used := cpuTime(b, p.pid) - before
	p.throughput = append(p.throughput, requests/seconds)
	p.perCPU = append(p.perCPU, requests/used.Seconds())
	p.late = append(p.late, fixedRate(b, p.address, 1500, *benchSlice))
}

func report(b *testing.B, peers []*peer) {
	self := peers[0]
	b.Logf("%-9s %14s %16s %14s %12s", "balancer", "requests/s", "requests/CPU s", "CPU us/request", "p99 ms")
	for _, p := range peers {
		b.Logf("%-9s %14.0f %16.0f %14.1f %12.2f", p.name, median(p.throughput), median(p.perCPU), 1e6/median(p.perCPU), median(p.late))
	}
	for _, p := range peers[1:] {
		cpu := ratios(p.perCPU, self.perCPU) // CPU per request, ours ÷ theirs
		b.Logf("beside %s: CPU per request %.2f x, throughput per core %.2f x, throughput %.2f x, p99 %.2f x",
			p.name, cpu, 1/cpu, ratios(self.throughput, p.throughput), ratios(self.late, p.late))
		b.ReportMetric(cpu, "cpu-x-"+p.name)
		b.ReportMetric(ratios(self.throughput, p.throughput), "throughput-x-"+p.name)
		b.ReportMetric(ratios(self.late, p.late), "p99-x-"+p.name)
	}
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2]
}

// ratios is the median of the ratios of each round.
func ratios(a, b []float64) float64 {
	r := make([]float64, len(a))
	for k := range a {
		r[k] = a[k] / b[k]
	}
	return median(r)
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in ([0-9.]+)s`)

// runWrk loads an address with wrk and returns how many requests were answered in how many seconds.
func runWrk(b *testing.B, address string, d time.Duration) (requests, seconds float64) {
	b.Helper()
	out, err := exec.Command("wrk", "-t1", "-c32", "-d", fmt.Sprintf("%.0fs", d.Seconds()), "-H", "Host: "+benchHost, "http://"+address+"/").CombinedOutput()
	m := wrkRequests.FindSubmatch(out)
	if err != nil || m == nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
		b.Fatalf("wrk at %s: %v\n%s", address, err, out)
	}
	requests, _ = strconv.ParseFloat(string(m[1]), 64)
	seconds, _ = strconv.ParseFloat(string(m[2]), 64)
	return requests, seconds
}

// fixedRate sends requests at a rate, whether answers come or not, and returns the
// 99th percentile in milliseconds, from when each was due.
func fixedRate(b *testing.B, address string, rate int, d time.Duration) float64 {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	total := int(d.Seconds() * float64(rate))
	times := make([]time.Duration, total)
	due := make(chan int, total)
	var failed atomic.Value
	var workers sync.WaitGroup
	began := time.Now()
	at := func(k int) time.Time { return began.Add(time.Duration(k) * time.Second / time.Duration(rate)) }
	for range 64 {
		workers.Go(func() {
			for k := range due {
				if err := getOnce(transport, address); err != nil {
					failed.Store(err)
				}
				times[k] = time.Since(at(k))
			}
		})
	}
	for k := range total {
		time.Sleep(time.Until(at(k)))
		due <- k
	}
	close(due)
	workers.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(err)
	}
	slices.Sort(times)
	return float64(times[total*99/100]) / 1e6
}

func getOnce(rt http.RoundTripper, address string) error {
	r, err := http.NewRequest(http.MethodGet, "http://"+address+"/", http.NoBody)
	if err != nil {
		return err
	}
	r.Host = benchHost
	res, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return err
}

// cpuTime is what a process and its children have used.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	total := processTime(b, pid)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range strings.Fields(string(children)) {
		child, _ := strconv.Atoi(c)
		total += processTime(b, child)
	}
	return total
}

func processTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	const hertz = 100 // of the kernel's accounting, on every Linux
	return time.Duration(user+system) * time.Second / hertz
}

// freeAddress is an address whose port was free a moment ago.
func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// startProcess starts a program and ends it with the benchmark.
func startProcess(b *testing.B, name string, args ...string) int {
	b.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		b.Fatalf("this benchmark needs %s: run it with \"make bench-traffic\", which installs it (%v)", name, err)
	}
	cmd := exec.Command(path, args...)
	out, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "HOME="+b.TempDir(), "GOMAXPROCS=1")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "rror") {
				b.Logf("%s: %s", name, lines.Text())
			}
		}
	}()
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func awaitAnswer(b *testing.B, address string) {
	b.Helper()
	await(b, "an answer at "+address, func() bool { return getOnce(http.DefaultTransport, address) == nil })
}

func writeFile(b *testing.B, dir, name, text string) string {
	b.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		b.Fatal(err)
	}
	return path
}

// nginxFrame is what the two nginx have in common.
const nginxFrame = `daemon off; worker_processes 1; pid %[1]s/%[2]s.pid; error_log stderr error;
events { worker_connections 4096; }
http {
	access_log off; keepalive_requests 1000000;
	client_body_temp_path %[1]s/%[2]s-body; proxy_temp_path %[1]s/%[2]s-proxy; fastcgi_temp_path %[1]s/%[2]s-f; uwsgi_temp_path %[1]s/%[2]s-u; scgi_temp_path %[1]s/%[2]s-s;
	%[3]s
}`

// startBackends starts an nginx that answers at two addresses with a kilobyte.
func startBackends(b *testing.B, dir string) []string {
	b.Helper()
	addresses := []string{freeAddress(b), freeAddress(b)}
	var servers strings.Builder
	for _, a := range addresses {
		fmt.Fprintf(&servers, "server { listen %s; location / { default_type text/plain; return 200 %q; } }\n", a, strings.Repeat("w", 1024))
	}
	startProcess(b, "nginx", "-c", writeFile(b, dir, "backend.conf", fmt.Sprintf(nginxFrame, dir, "backend", servers.String())))
	for _, a := range addresses {
		awaitAnswer(b, a)
	}
	return addresses
}

func startSelf(b *testing.B, backends []string) *peer {
	b.Helper()
	p := &peer{name: "wedsyncd", address: freeAddress(b)}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	p.pid = startProcess(b, self, "-bench-listen", p.address, "-bench-backends", strings.Join(backends, ","))
	return p
}

func startHAProxy(b *testing.B, dir string, backends []string) *peer {
	b.Helper()
	p := &peer{name: "haproxy", address: freeAddress(b)}
	conf := fmt.Sprintf(`global
	nbthread 1
	maxconn 4096
defaults
	mode http
	timeout connect 3s
	timeout client 60s
	timeout server 60s
	option http-keep-alive
	option forwardfor
	http-reuse always
frontend in
	bind %s
	unique-id-format %%{+X}o\ %%ci:%%cp_%%fi:%%fp_%%Ts_%%rt:%%pid
	unique-id-header X-Request-Id
	acl known hdr(host) -i %s
	use_backend api if known
backend api
	balance roundrobin
	server a %s
	server b %s
`, p.address, benchHost, backends[0], backends[1])
	p.pid = startProcess(b, "haproxy", "-db", "-f", writeFile(b, dir, "haproxy.cfg", conf))
	return p
}

func startNginx(b *testing.B, dir string, backends []string) *peer {
	b.Helper()
	p := &peer{name: "nginx", address: freeAddress(b)}
	conf := fmt.Sprintf(`upstream api { server %s; server %s; keepalive 64; keepalive_requests 1000000; }
	server { listen %s; server_name %s; location / {
		proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
		proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Request-Id $request_id;
	} }`, backends[0], backends[1], p.address, benchHost)
	p.pid = startProcess(b, "nginx", "-c", writeFile(b, dir, "proxy.conf", fmt.Sprintf(nginxFrame, dir, "proxy", conf)))
	return p
}

func startCaddy(b *testing.B, dir string, backends []string) *peer {
	b.Helper()
	p := &peer{name: "caddy", address: freeAddress(b)}
	_, port, _ := net.SplitHostPort(p.address)
	conf := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n}\nhttp://%s:%s {\n\tbind 127.0.0.1\n\treverse_proxy %s %s {\n\t\tlb_policy round_robin\n\t}\n}\n", benchHost, port, backends[0], backends[1])
	p.pid = startProcess(b, "caddy", "run", "--adapter", "caddyfile", "--config", writeFile(b, dir, "Caddyfile", conf))
	return p
}
