package grammar_test

import (
	"net/netip"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/distribution/reference"
	"github.com/docker/go-units"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Each target states what holds for every text whatever. The seeds run as
// ordinary tests; what fuzzing finds goes into testdata/fuzz.

// seed adds texts, and for each some near misses of it.
func seed(f *testing.F, texts ...string) {
	f.Helper()
	for _, s := range texts {
		f.Add(s)
		for _, near := range []string{s + " ", " " + s, s + "\n", s + "\x00", "-" + s, s + s, strings.ToUpper(s), s + "é", s + "\xff"} {
			f.Add(near)
		}
	}
}

// explained asks that a refusal is one line of text, of bounded length but for
// what it quotes.
func explained(t *testing.T, in string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	message := err.Error()
	if message == "" || strings.ContainsAny(message, "\n\x00") || !utf8.ValidString(message) {
		t.Errorf("%q is refused with %q", in, message)
	}
}

// parser is what a parser says of a text, and what it never accepts.
type parser struct {
	name    string
	err     error
	longest int
	refused string // characters that can't be in an accepted text
}

// refuses asks that each parser refuses empty and long texts, and its characters.
func refuses(t *testing.T, s string, parsers []parser) {
	t.Helper()
	for _, p := range parsers {
		explained(t, s, p.err)
		if p.err == nil && (s == "" || len(s) > p.longest || strings.ContainsAny(s, p.refused)) {
			t.Errorf("%s accepts %q", p.name, s)
		}
	}
}

func FuzzCPU(f *testing.F) {
	seed(f, "500m", "1", "0.5", "1024", "0.01", "10m", "1.5m", "", "99999999999999999999999999999999999999999", "0.000000000000000000001")
	f.Fuzz(func(t *testing.T, s string) {
		milli, err := grammar.CPU(s)
		explained(t, s, err)
		if err != nil {
			if milli != 0 {
				t.Errorf("CPU(%q) = %d beside its error", s, milli)
			}
			return
		}
		if milli < grammar.MinMilliCPU || milli > grammar.MaxMilliCPU {
			t.Errorf("CPU(%q) = %d is out of bounds", s, milli)
		}
		canonical := strconv.FormatInt(milli, 10) + "m"
		if again, err := grammar.CPU(canonical); err != nil || again != milli {
			t.Errorf("CPU(%q) = %d, but CPU(%q) = %d, %v", s, milli, canonical, again, err)
		}
		if cores, ok := strings.CutSuffix(s, "m"); !ok {
			if n, err := strconv.ParseFloat(cores, 64); err != nil || int64(n*1000+0.5) != milli {
				t.Errorf("CPU(%q) = %d, a float says %f cores", s, milli, n)
			}
		}
	})
}

func FuzzBytes(f *testing.F) {
	seed(f, "512Mi", "2Gi", "512M", "10GB", "1", "1.5Gi", "1024Ti", "0.5", "1Pi", "99999999999999999999Ti", "1kib")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := grammar.Bytes(s)
		explained(t, s, err)
		memory, memoryErr := grammar.Memory(s)
		if err != nil {
			if n != 0 || memoryErr == nil {
				t.Errorf("Bytes(%q) = %d, %v; Memory says %d, %v", s, n, err, memory, memoryErr)
			}
			return
		}
		if n < 1 || n > grammar.MaxMemory {
			t.Errorf("Bytes(%q) = %d is out of bounds", s, n)
		}
		canonical := strconv.FormatInt(n, 10)
		if again, err := grammar.Bytes(canonical); err != nil || again != n {
			t.Errorf("Bytes(%q) = %d, but Bytes(%q) = %d, %v", s, n, canonical, again, err)
		}
		if wantErr := n < grammar.MinMemory; (memoryErr != nil) != wantErr || memoryErr == nil && memory != n {
			t.Errorf("Bytes(%q) = %d, Memory = %d, %v", s, n, memory, memoryErr)
		}
		// Docker's own reading agrees wherever it reads whole bytes exactly.
		if docker, err := units.RAMInBytes(s); err == nil && n < 1<<50 && !strings.Contains(s, ".") && docker != n {
			t.Errorf("Bytes(%q) = %d, Docker says %d", s, n, docker)
		}
	})
}

func FuzzImageName(f *testing.F) {
	seed(f, "nginx", "wedsync/api", "localhost:5000/a/b", "registry.example.com/a", "a@sha256:abc", "a:b", "docker.io/library/x")
	f.Fuzz(func(t *testing.T, s string) {
		err := grammar.ImageName(s)
		explained(t, s, err)
		if err != nil {
			return
		}
		named, err := reference.ParseNormalizedNamed(s)
		if err != nil || !reference.IsNameOnly(named) {
			t.Errorf("ImageName accepts %q, which reads as %v, %v", s, named, err)
		}
	})
}

func FuzzImageReference(f *testing.F) {
	for _, seed := range [][3]string{
		{"", "nginx", "latest"},
		{"registry.example.com", "wedsync/api", "v1"},
		{"https://127.0.0.1:5000/", "a/b", "v1.2_3-x"},
		{"a.example.com", "a.example.com/b", "v1"},
		{"a.example.com", "b.example.com:5000/c", "v1"},
		{"[::1]:5000", "x", "y"},
		{"http://https://x.example.com", "x", "y"},
		{"x.example.com", "../x", "y"},
		{"", "a:b", "c"}, {"", "a", "b@sha256:c"}, {"", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, registry, name, tag string) {
		ref, err := grammar.ImageReference(registry, name, tag)
		explained(t, name, err)
		if err != nil {
			if ref != "" {
				t.Errorf("%q beside the error %v", ref, err)
			}
			return
		}
		named, err := reference.ParseNormalizedNamed(ref)
		if err != nil {
			t.Fatalf("%q from (%q, %q, %q) cannot be read: %v", ref, registry, name, tag, err)
		}
		tagged, ok := named.(reference.Tagged)
		if !ok || tagged.Tag() != tag {
			t.Errorf("%q has not the tag %q", ref, tag)
		}
		if _, digested := named.(reference.Digested); digested {
			t.Errorf("%q has a digest", ref)
		}
		if reference.TagNameOnly(named).String() != named.String() {
			t.Errorf("%q is read as %q", ref, named)
		}
		if registry == "" {
			return
		}
		host, err := grammar.Registry(registry)
		if err != nil || reference.Domain(named) != host {
			t.Errorf("%q is at %q, want %q (%v)", ref, reference.Domain(named), host, err)
		}
	})
}

func FuzzRegistry(f *testing.F) {
	seed(f, "registry.example.com", "127.0.0.1:5000", "https://r.example.com/", "localhost", "[::1]:5000", "http://http://x")
	f.Fuzz(func(t *testing.T, s string) {
		host, err := grammar.Registry(s)
		explained(t, s, err)
		if err != nil {
			return
		}
		if !strings.Contains(s, host) || strings.ContainsAny(host, "/@ ?#") {
			t.Errorf("Registry(%q) = %q", s, host)
		}
		if again, err := grammar.Registry(host); err != nil || again != host {
			t.Errorf("Registry(%q) = %q, but that reads as %q, %v", s, host, again, err)
		}
	})
}

func FuzzNetwork(f *testing.F) {
	seed(f, "10.20.0.0/24", "fd00::/64", "10.20.0.1", "::1", "0.0.0.0/0", "::ffff:10.0.0.0/104", "fe80::1%eth0")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := grammar.Subnet(s)
		explained(t, s, err)
		if err == nil {
			if !p.IsValid() || p.Masked() != p {
				t.Errorf("Subnet(%q) = %v", s, p)
			}
			if again, err := netip.ParsePrefix(p.String()); err != nil || again != p {
				t.Errorf("Subnet(%q) = %v does not come back", s, p)
			}
			if p.Addr().Zone() == "" && grammar.Gateway(p.Addr().String(), s) != nil {
				t.Errorf("%s is not inside of %q", p.Addr(), s)
			}
		}
		a, err := grammar.Address(s)
		explained(t, s, err)
		if err == nil && (!a.IsValid() || a.Zone() != "") {
			t.Errorf("Address(%q) = %v", s, a)
		}
	})
}

func FuzzPaths(f *testing.F) {
	seed(f, "/health", "/var/lib/app", "app-data", "/", "/a/../b", "//", "/a:ro", "/health?x=1")
	f.Fuzz(func(t *testing.T, s string) {
		inside, source, http := grammar.ContainerPath(s), grammar.VolumeSource(s), grammar.HTTPPath(s)
		explained(t, s, inside)
		explained(t, s, source)
		explained(t, s, http)
		if inside == nil && (!path.IsAbs(s) || path.Clean(s) != s || strings.ContainsAny(s, ":\x00")) {
			t.Errorf("ContainerPath accepts %q", s)
		}
		if inside == nil && source != nil {
			t.Errorf("%q is a path inside a container but not on the host: %v", s, source)
		}
		if source == nil && (s == "" || strings.ContainsAny(s, ":\x00") || !path.IsAbs(s) && strings.Contains(s, "/")) {
			t.Errorf("VolumeSource accepts %q", s)
		}
		if http == nil && (s[0] != '/' || strings.ContainsAny(s, " \r\n")) {
			t.Errorf("HTTPPath accepts %q", s)
		}
	})
}

func FuzzNames(f *testing.F) {
	seed(f, "wedding-api", "LOG_LEVEL", "com.example.team", "wedsync.x", "10001:10001", "example.internal", "ndots:2", "v1.2.3")
	f.Fuzz(func(t *testing.T, s string) {
		refuses(t, s, []parser{
			{"Name", grammar.Name(s), 63, "_.:/= \n\x00"},
			{"EnvVar", grammar.EnvVar(s), 256, "=/ \n\x00"},
			{"Label", grammar.Label(s), 128, "=: \n\x00"},
			{"User", grammar.User(s), 1 << 20, "=/ \n\x00"},
			{"Domain", grammar.Domain(s), 253, "_:/= \n\x00"},
			{"DNSOption", grammar.DNSOption(s), 1 << 20, "_/= \n\x00"},
			{"ImageTag", grammar.ImageTag(s), 128, ":/@= \n\x00"},
		})
		if grammar.Name(s) == nil && grammar.Domain(s) != nil {
			t.Errorf("%q is a DNS label but no domain", s)
		}
		if strings.HasPrefix(s, "wedsync.") && grammar.Label(s) == nil {
			t.Errorf("Label accepts the reserved %q", s)
		}
	})
}

// FuzzSchedule: what is accepted fires within five years, and its windows are
// closed exactly when they are not open.
func FuzzSchedule(f *testing.F) {
	seed(f, "0 6 * 4-9 6", "*/15 8-18 * * mon-fri", "0 0 29 2 *", "@daily", "TZ=UTC 0 0 * * *", "0 0 30 2 *", "1-59/7,3 ? 1 JAN THU", "0-0/999999 * * * *")
	f.Fuzz(func(t *testing.T, s string) {
		err := grammar.Schedule(s, "Europe/London")
		explained(t, s, err)
		if err != nil {
			return
		}
		w, err := grammar.NewWindow(s, "17 3 * * *", "Europe/London")
		if err != nil {
			return // the same
		}
		now := time.Date(2026, 10, 24, 23, 59, 59, 0, time.UTC)
		for range 10 {
			open, until := w.At(now)
			if !until.After(now) {
				t.Fatalf("%q: open=%v at %s until %s", s, open, now, until)
			}
			if before, _ := w.At(until.Add(-time.Second)); before != open {
				t.Fatalf("%q: open=%v at %s, but not a second before %s", s, open, now, until)
			}
			if after, _ := w.At(until); !open && !after {
				t.Fatalf("%q: does not open at %s", s, until)
			}
			now = until
		}
	})
}
