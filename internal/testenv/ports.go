package testenv

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// Each test process has ports of its own, so that tests that run beside each other
// do not meet. They are below those that the system hands out by itself, for
// connections and to who asks for any: nobody else gets one by chance.
const (
	portBlocks, firstPort, portsEach    = 50, 10_000, 200 // to listen at
	leaseBlocks, firstLease, leasesEach = 80, 20_000, 100 // for daemons to lease
)

// portsGiven is how many ports this process has given.
var portsGiven atomic.Int64

// FreePort is a port of loopback at which nobody listens. It is given once, until
// the process has given all that it has.
func FreePort(tb testing.TB) int {
	tb.Helper()
	for range portsEach {
		port := firstPort + os.Getpid()%portBlocks*portsEach + int(portsGiven.Add(1)-1)%portsEach
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatalf("somebody listens at each port that process %d has", os.Getpid())
	return 0
}

// hostPorts is the range of host ports that a daemon leases.
func hostPorts() string {
	from := firstLease + os.Getpid()%leaseBlocks*leasesEach
	return fmt.Sprintf("%d-%d", from, from+leasesEach-1)
}
