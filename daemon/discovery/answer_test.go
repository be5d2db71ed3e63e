package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// fixture is a registry with one of each kind.
func fixture() []fleet.Endpoint {
	return []fleet.Endpoint{
		instance("a1", "api", "staging", "http://172.18.0.4:8080"),
		with(instance("a2", "api", "staging", "http://172.18.0.5:8080"), func(e *fleet.Endpoint) { e.Weight = 20 }),
		instance("a6", "api", "staging", "http://[fd00::6]:8080"),
		with(instance("sick", "api", "staging", "http://172.18.0.7:8080"), func(e *fleet.Endpoint) { e.Healthy = false }),
		with(instance("rest", "api", "staging", "http://172.18.0.8:8080"), func(e *fleet.Endpoint) { e.Weight = 0 }),
		instance("p1", "api", "production", "http://172.19.0.4:8080"),
		with(instance("w1", "web", "staging", "http://172.18.0.9:80"), func(e *fleet.Endpoint) { e.Healthy = false }),
		external("x1", "mail", "staging", "https://Mail.example.com"),
		external("x2", "mail", "staging", "http://10.1.1.1:2525"),
		external("x3", "odd", "staging", "http://bücher.example:80"),
		external("x4", "no_label!", "staging", "http://10.1.1.2:80"),
	}
}

// ask is the answer to one question, over UDP unless said otherwise.
func ask(d *Directory, name string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	req := new(dns.Msg)
	req.SetQuestion(name, qtype)
	for _, c := range change {
		c(req)
	}
	return respond(req, question{snapshot: d.current.Load(), local: netip.MustParseAddr("127.0.0.1")}, true)
}

// brief is an answer in one line: its code, and the records of each section as
// TYPE DATA, sorted.
func brief(m *dns.Msg) string {
	sections := []string{dns.RcodeToString[m.Rcode]}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		var records []string
		for _, rr := range section {
			if _, soa := rr.(*dns.SOA); soa {
				records = append(records, "SOA")
				continue
			}
			h := rr.Header()
			records = append(records, strings.TrimPrefix(rr.String(), h.String()))
		}
		slices.Sort(records)
		sections = append(sections, strings.Join(records, ", "))
	}
	return strings.TrimRight(strings.Join(sections, " | "), " |")
}

func TestZone(t *testing.T) {
	const located = "0 100 8080 a1.api.staging.wedsync., 0 100 8080 a6.api.staging.wedsync., 0 20 8080 a2.api.staging.wedsync."
	const targets = "172.18.0.4, 172.18.0.5, fd00::6"
	tests := []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"api.staging.wedsync.", dns.TypeA, "NOERROR | 172.18.0.4, 172.18.0.5"},
		{"api.staging.wedsync.", dns.TypeAAAA, "NOERROR | fd00::6"},
		{"api.staging.wedsync.", dns.TypeSRV, "NOERROR | " + located + " |  | " + targets},
		{"_api._tcp.staging.wedsync.", dns.TypeSRV, "NOERROR | " + located + " |  | " + targets},
		{"api.production.wedsync.", dns.TypeA, "NOERROR | 172.19.0.4"},
		{"a1.api.staging.wedsync.", dns.TypeA, "NOERROR | 172.18.0.4"},
		{"a6.api.staging.wedsync.", dns.TypeAAAA, "NOERROR | fd00::6"},
		{"ApI.StaGing.wEdsync.", dns.TypeA, "NOERROR | 172.18.0.4, 172.18.0.5"},

		// Something external: an address is one, a name is only a target.
		{"mail.staging.wedsync.", dns.TypeA, "NOERROR | 10.1.1.1"},
		{"mail.staging.wedsync.", dns.TypeSRV, "NOERROR | 0 100 2525 x2.mail.staging.wedsync., 0 100 443 Mail.example.com. |  | 10.1.1.1"},
		{"x1.mail.staging.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"odd.staging.wedsync.", dns.TypeSRV, "NOERROR |  | SOA"},

		// Known names without such data.
		{"web.staging.wedsync.", dns.TypeA, "NOERROR |  | SOA"},
		{"web.staging.wedsync.", dns.TypeSRV, "NOERROR |  | SOA"},
		{"_web._tcp.staging.wedsync.", dns.TypeSRV, "NOERROR |  | SOA"},
		{"api.production.wedsync.", dns.TypeAAAA, "NOERROR |  | SOA"},
		{"api.staging.wedsync.", dns.TypeTXT, "NOERROR |  | SOA"},
		{"_api._tcp.staging.wedsync.", dns.TypeA, "NOERROR |  | SOA"},
		{"a1.api.staging.wedsync.", dns.TypeSRV, "NOERROR |  | SOA"},
		{"staging.wedsync.", dns.TypeA, "NOERROR |  | SOA"},
		{"_tcp.staging.wedsync.", dns.TypeSRV, "NOERROR |  | SOA"},
		{"wedsync.", dns.TypeA, "NOERROR |  | SOA"},

		// Unknown names.
		{"db.staging.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"api.development.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"development.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"sick.api.staging.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"rest.api.staging.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"a1.web.staging.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"_db._tcp.staging.wedsync.", dns.TypeSRV, "NXDOMAIN |  | SOA"},
		{"_api._udp.staging.wedsync.", dns.TypeSRV, "NXDOMAIN |  | SOA"},
		{"no_label!.staging.wedsync.", dns.TypeA, "NXDOMAIN |  | SOA"},
		{"db.staging.wedsync.", dns.TypeANY, "NXDOMAIN |  | SOA"},

		// The zone itself.
		{"wedsync.", dns.TypeSOA, "NOERROR | SOA"},
		{"WedSync.", dns.TypeNS, "NOERROR | ns.wedsync. |  | 127.0.0.1"},
		{"ns.wedsync.", dns.TypeA, "NOERROR | 127.0.0.1"},
		{"ns.wedsync.", dns.TypeAAAA, "NOERROR |  | SOA"},
		{"api.staging.wedsync.", dns.TypeANY, `NOERROR | "RFC8482" ""`},
		{"wedsync.", dns.TypeANY, `NOERROR | "RFC8482" ""`},

		// What is not its business.
		{"wedsync.", dns.TypeAXFR, "REFUSED"},
		{"wedsync.", dns.TypeIXFR, "REFUSED"},
		{"example.com.", dns.TypeA, "REFUSED"},
		{"notwedsync.", dns.TypeA, "REFUSED"},
		{".", dns.TypeNS, "REFUSED"},
	}
	d := received(fixture()...)
	for _, tc := range tests {
		t.Run(tc.name+" "+dns.TypeToString[tc.qtype], func(t *testing.T) {
			resp := ask(d, tc.name, tc.qtype)
			if got := brief(resp); got != tc.want {
				t.Errorf("answer\n%s, want\n%s", got, tc.want)
			}
			if resp.Question[0].Name != tc.name || resp.RecursionAvailable {
				t.Errorf("header and question: %v", resp)
			}
			if ours := resp.Rcode != dns.RcodeRefused; resp.Authoritative != ours {
				t.Errorf("authoritative = %v, want %v", resp.Authoritative, ours)
			}
			checkRecords(t, resp, tc.name)
		})
	}
}

// checkRecords demands that every record may be kept for 1 s, and that answers
// stand under the name as it was asked for.
func checkRecords(t *testing.T, resp *dns.Msg, name string) {
	t.Helper()
	for _, rr := range slices.Concat(resp.Answer, resp.Ns, resp.Extra) {
		if rr.Header().Rrtype != dns.TypeOPT && rr.Header().Ttl != 1 {
			t.Errorf("TTL of %v is not 1", rr)
		}
		if soa, ok := rr.(*dns.SOA); ok && (soa.Minttl != 1 || soa.Serial != 1) {
			t.Errorf("SOA %v: want serial and minimum 1", soa)
		}
	}
	for _, rr := range resp.Answer {
		if rr.Header().Name != name {
			t.Errorf("%v does not stand under %s", rr, name)
		}
	}
}

// TestTargetsResolve: every target of SRV within the zone has an address.
func TestTargetsResolve(t *testing.T) {
	d := received(fixture()...)
	for _, rr := range ask(d, "_api._tcp.staging.wedsync.", dns.TypeSRV).Answer {
		target := rr.(*dns.SRV).Target
		n := len(ask(d, target, dns.TypeA).Answer) + len(ask(d, target, dns.TypeAAAA).Answer)
		if n != 1 {
			t.Errorf("%s has %d addresses, want 1", target, n)
		}
	}
}

func TestBeforeTheFirstSnapshot(t *testing.T) {
	resp := ask(NewDirectory(), "api.staging.wedsync.", dns.TypeA)
	if got := brief(resp); got != "SERVFAIL" {
		t.Errorf("answer %s, want SERVFAIL: nothing is known yet, which is not that there is nothing", got)
	}
}

func TestMessages(t *testing.T) {
	edns := func(version uint8) func(*dns.Msg) {
		return func(m *dns.Msg) {
			m.SetEdns0(4096, true)
			m.IsEdns0().SetVersion(version)
		}
	}
	tests := []struct {
		name   string
		change func(*dns.Msg)
		want   string
	}{
		{"a query", func(*dns.Msg) {}, "NOERROR"},
		{"recursion desired", func(m *dns.Msg) { m.RecursionDesired = true }, "NOERROR"},
		{"an update", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, "NOTIMP"},
		{"a notification", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, "NOTIMP"},
		{"no question", func(m *dns.Msg) { m.Question = nil }, "FORMERR"},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, "FORMERR"},
		{"class CHAOS", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, "REFUSED"},
		{"any class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }, "REFUSED"},
		{"EDNS", edns(0), "NOERROR"},
		{"EDNS of the future", edns(1), "BADVERS"},
		{"EDNS twice", func(m *dns.Msg) { edns(0)(m); m.Extra = append(m.Extra, m.Extra[0]) }, "FORMERR"},
	}
	d := received(fixture()...)
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var req *dns.Msg
			resp := ask(d, "api.staging.wedsync.", dns.TypeA, tc.change, func(m *dns.Msg) { req = m })
			packed, err := resp.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Unpack(packed); err != nil {
				t.Fatal(err)
			}
			// 16 is BADSIG too: without a signature it can only be the other.
			if got := strings.ReplaceAll(dns.RcodeToString[resp.Rcode], "BADSIG", "BADVERS"); got != tc.want {
				t.Errorf("code %s, want %s", got, tc.want)
			}
			if resp.Id != req.Id || !resp.Response || (req.Opcode == dns.OpcodeQuery && resp.RecursionDesired != req.RecursionDesired) {
				t.Errorf("header %+v of the answer to %+v", resp.MsgHdr, req.MsgHdr)
			}
			if opt := resp.IsEdns0(); (opt != nil) != (req.IsEdns0() != nil) {
				t.Errorf("EDNS in the answer: %v, in the query: %v", opt, req.IsEdns0())
			} else if opt != nil && (opt.UDPSize() != maxDatagram || !opt.Do() || opt.Version() != 0) {
				t.Errorf("EDNS in the answer: %v", opt)
			}
		})
	}
	answer := func(m *dns.Msg) { m.Response = true }
	if resp := ask(d, "api.staging.wedsync.", dns.TypeA, answer); resp != nil {
		t.Errorf("an answer is answered: %v", resp)
	}
}

// replicas are n healthy instances of api in staging.
func replicas(n int) []fleet.Endpoint {
	list := make([]fleet.Endpoint, n)
	for k := range list {
		list[k] = instance(fmt.Sprintf("i%04d", k), "api", "staging", fmt.Sprintf("http://10.0.%d.%d:8080", k/250, k%250+1))
	}
	return list
}

func TestTruncation(t *testing.T) {
	tests := []struct {
		name      string
		replicas  int
		qtype     uint16
		edns      uint16 // 0 is without
		limit     int
		truncated bool
		extra     bool
	}{
		{"it fits", 20, dns.TypeA, 0, 512, false, false},
		{"too long for plain DNS", 100, dns.TypeA, 0, 512, true, false},
		{"EDNS makes room", 60, dns.TypeA, 4096, maxDatagram, false, false},
		{"EDNS says less", 60, dns.TypeA, 600, 600, true, false},
		{"EDNS says nonsense", 20, dns.TypeA, 12, 512, false, false},
		{"too long for EDNS", 1000, dns.TypeA, 65535, maxDatagram, true, false},
		{"targets fit", 3, dns.TypeSRV, 0, 512, false, true},
		{"targets are left out, which is not truncation", 10, dns.TypeSRV, 0, 512, false, false},
		{"SRV are too long", 60, dns.TypeSRV, 0, 512, true, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := received(replicas(tc.replicas)...)
			resp := ask(d, "api.staging.wedsync.", tc.qtype, func(m *dns.Msg) {
				if tc.edns > 0 {
					m.SetEdns0(tc.edns, false)
				}
			})
			packed, err := resp.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if len(packed) > tc.limit {
				t.Errorf("%d bytes, want %d at most", len(packed), tc.limit)
			}
			if resp.Truncated != tc.truncated || (!tc.truncated && len(resp.Answer) != tc.replicas) {
				t.Errorf("truncated = %v with %d of %d records, want %v", resp.Truncated, len(resp.Answer), tc.replicas, tc.truncated)
			}
			if extra := len(nonAddresses(resp.Extra)) < len(resp.Extra); extra != tc.extra {
				t.Errorf("addresses of targets in the answer: %v, want %v", extra, tc.extra)
			}
			if (resp.IsEdns0() != nil) != (tc.edns > 0) {
				t.Errorf("EDNS in the answer: %v", resp.IsEdns0())
			}
		})
	}
}

func TestRotation(t *testing.T) {
	d := received(replicas(3)...)
	first := make(map[string]int)
	for turn := range 9 {
		req := new(dns.Msg)
		req.SetQuestion("api.staging.wedsync.", dns.TypeA)
		resp := respond(req, question{snapshot: d.current.Load(), turn: turn}, true)
		if len(resp.Answer) != 3 {
			t.Fatalf("%d addresses, want 3", len(resp.Answer))
		}
		first[resp.Answer[0].(*dns.A).A.String()]++
	}
	for address, n := range first {
		if n != 3 {
			t.Errorf("%s comes first %d times of 9, want 3", address, n)
		}
	}
	if len(first) != 3 {
		t.Errorf("%d addresses come first, want 3", len(first))
	}
}

// TestLongNames: what does not fit into a name of DNS has none, and spoils nothing.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	d := received(
		instance(long, long, long, "http://10.0.0.1:80"),
		instance(strings.Repeat("i", 70), "api", "staging", "http://10.0.0.2:80"),
		instance("ok", "api", "staging", "http://10.0.0.3:80"),
		external("x", "api", "staging", "http://"+strings.Repeat(long+".", 4)+"example:80"),
		instance("_tcp", "_tcp", "staging", "http://10.0.0.4:80"),
	)
	for name, want := range map[string]string{
		"api.staging.wedsync.":          "NOERROR | 0 100 80 ok.api.staging.wedsync. |  | 10.0.0.3",
		long + "." + long + ".wedsync.": "NXDOMAIN |  | SOA",
		"_tcp.staging.wedsync.":         "NOERROR |  | SOA",
	} {
		resp := ask(d, name, dns.TypeSRV)
		if got := brief(resp); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if _, err := resp.Pack(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRespond: whatever comes in, what goes out can be read, is of the allowed
// size, and answers what was asked.
func FuzzRespond(f *testing.F) {
	for _, name := range []string{"api.staging.wedsync.", "_api._tcp.staging.wedsync.", "wedsync.", "db.WEDSYNC.", "example.com."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY, dns.TypeSOA, dns.TypeAXFR} {
			req := new(dns.Msg)
			req.SetQuestion(name, qtype)
			req.SetEdns0(1024, true)
			packed, err := req.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed, true)
			f.Add(packed[:len(packed)-3], false)
		}
	}
	d := received(slices.Concat(fixture(), replicas(200))...)
	f.Fuzz(func(t *testing.T, packed []byte, udp bool) {
		req := new(dns.Msg)
		if req.Unpack(packed) != nil {
			return // the library answers that
		}
		resp := respond(req, question{snapshot: d.current.Load(), local: netip.IPv6Loopback(), turn: len(packed)}, udp)
		if resp == nil {
			if !req.Response {
				t.Error("no answer")
			}
			return
		}
		out, err := resp.Pack()
		if err != nil {
			t.Fatalf("the answer %v cannot be packed: %v", resp, err)
		}
		if udp && len(out) > maxDatagram {
			t.Errorf("%d bytes in a datagram", len(out))
		}
		back := new(dns.Msg)
		if err := back.Unpack(out); err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
		if back.Id != req.Id || !back.Response {
			t.Errorf("header %+v of the answer to %+v", back.MsgHdr, req.MsgHdr)
		}
	})
}
