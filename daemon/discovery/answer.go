package discovery

import (
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const (
	// maxDatagram is the longest answer over UDP: one that no path has to cut into pieces.
	maxDatagram = 1232
	// maxDatagramRecords is more records than fit into it.
	maxDatagramRecords = 128
)

// question is a request for one name, with what its answer depends on besides.
type question struct {
	dns.Question
	*snapshot
	// local is the address that was asked; invalid where it isn't known.
	local netip.Addr
	// turn rotates answers.
	turn int
	// limit bounds the endpoints of an answer.
	limit int
}

// respond answers a message; nil stands for no answer, which is what answers get.
func respond(req *dns.Msg, q question, udp bool) *dns.Msg {
	if req.Response {
		return nil
	}
	resp := new(dns.Msg)
	resp.SetReply(req)
	resp.Compress = true
	size := dns.MaxMsgSize
	if udp {
		size, q.limit = dns.MinMsgSize, maxDatagramRecords
	}
	opts, opt := countOpts(req)
	if opt != nil {
		resp.SetEdns0(maxDatagram, opt.Do())
		if udp {
			size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxDatagram)
		}
	}
	switch {
	case req.Opcode != dns.OpcodeQuery:
		resp.Rcode = dns.RcodeNotImplemented
	case len(req.Question) != 1 || opts > 1:
		resp.Rcode = dns.RcodeFormatError
	case opt != nil && opt.Version() != 0:
		resp.Rcode = dns.RcodeBadVers
	default:
		q.Question = req.Question[0]
		q.answer(resp)
	}
	fit(resp, size)
	return resp
}

func countOpts(req *dns.Msg) (n int, opt *dns.OPT) {
	for _, rr := range req.Extra {
		if o, ok := rr.(*dns.OPT); ok {
			n, opt = n+1, o
		}
	}
	return n, opt
}

// fit shortens an answer to the size. What was added beyond the question goes
// first, and unsaid; only when that is not enough the answer is marked truncated.
func fit(resp *dns.Msg, size int) {
	if resp.Len() > size {
		resp.Extra = nonAddresses(resp.Extra)
	}
	resp.Truncate(size)
	resp.Compress = true
}

func nonAddresses(records []dns.RR) []dns.RR {
	var kept []dns.RR
	for _, rr := range records {
		if rr.Header().Rrtype == dns.TypeOPT {
			kept = append(kept, rr)
		}
	}
	return kept
}

// answer fills in what the zone says.
func (q question) answer(resp *dns.Msg) {
	name := strings.ToLower(q.Name)
	switch {
	case q.Qclass != dns.ClassINET || !dns.IsSubDomain(apex, name):
		resp.Rcode = dns.RcodeRefused
		return
	case q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR:
		resp.Rcode = dns.RcodeRefused
		return
	case !q.known():
		resp.Rcode = dns.RcodeServerFailure
		return
	}
	resp.Authoritative = true
	n := q.zone[name]
	switch {
	case q.Qtype == dns.TypeANY && (n != nil || name == apex || name == nameServer):
		resp.Answer = []dns.RR{&dns.HINFO{Hdr: q.header(q.Name, dns.TypeHINFO), Cpu: "RFC8482"}}
	case name == apex:
		resp.Answer, resp.Extra = q.atApex(resp.Extra)
	case name == nameServer:
		resp.Answer = q.addresses(q.Name, q.local, q.Qtype)
	case n != nil:
		resp.Answer, resp.Extra = q.atNode(n, resp.Extra)
	default:
		resp.Rcode = dns.RcodeNameError
	}
	if len(resp.Answer) == 0 {
		resp.Ns = []dns.RR{q.soa(apex)}
	}
}

func (q question) atApex(extra []dns.RR) (answer, additional []dns.RR) {
	switch q.Qtype {
	case dns.TypeSOA:
		return []dns.RR{q.soa(q.Name)}, extra
	case dns.TypeNS:
		return []dns.RR{&dns.NS{Hdr: q.header(q.Name, dns.TypeNS), Ns: nameServer}},
			append(extra, q.addresses(nameServer, q.local, dns.TypeNone)...)
	}
	return nil, extra
}

func (q question) atNode(n *node, extra []dns.RR) (answer, additional []dns.RR) {
	switch q.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		for _, e := range rotate(ofFamily(n.addressed, q.Qtype), q.turn, q.limit) {
			answer = append(answer, q.addresses(q.Name, e.addr, q.Qtype)...)
		}
	case dns.TypeSRV:
		for _, e := range rotate(n.located, q.turn, q.limit) {
			target := targetOf(e)
			answer = append(answer, &dns.SRV{
				Hdr: q.header(q.Name, dns.TypeSRV), Weight: uint16(e.weight), Port: uint16(e.port), Target: target,
			})
			extra = append(extra, q.addresses(target, e.addr, dns.TypeNone)...)
		}
	}
	return answer, extra
}

// ofFamily are the entries that have an address of the record's type.
func ofFamily(entries []*entry, rrtype uint16) []*entry {
	var list []*entry
	for _, e := range entries {
		if e.addr.Is4() == (rrtype == dns.TypeA) {
			list = append(list, e)
		}
	}
	return list
}

// rotate is the list begun elsewhere each turn, up to the limit; 0 is none.
func rotate(entries []*entry, turn, limit int) []*entry {
	n := len(entries)
	if n == 0 {
		return nil
	}
	list := make([]*entry, 0, n)
	for k := range n {
		if limit > 0 && k == limit {
			break
		}
		list = append(list, entries[(turn+k)%n])
	}
	return list
}

// addresses is the record of an address, if it is of the type; TypeNone takes either.
func (q question) addresses(name string, addr netip.Addr, rrtype uint16) []dns.RR {
	switch {
	case addr.Is4() && (rrtype == dns.TypeA || rrtype == dns.TypeNone):
		return []dns.RR{&dns.A{Hdr: q.header(name, dns.TypeA), A: net.IP(addr.AsSlice())}}
	case addr.Is6() && (rrtype == dns.TypeAAAA || rrtype == dns.TypeNone):
		return []dns.RR{&dns.AAAA{Hdr: q.header(name, dns.TypeAAAA), AAAA: net.IP(addr.AsSlice())}}
	}
	return nil
}

func (q question) soa(name string) dns.RR {
	return &dns.SOA{
		Hdr: q.header(name, dns.TypeSOA), Ns: nameServer, Mbox: "hostmaster." + apex,
		Serial: uint32(q.index), Refresh: ttl, Retry: ttl, Expire: ttl, Minttl: ttl,
	}
}

func (q question) header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
