package machine

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// CheckPortFree reports whether a TCP address can be listened on; the error says
// which process has it, where that can be seen.
func CheckPortFree(address string) error {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	owner := "another process"
	if _, port, err := net.SplitHostPort(address); err == nil {
		if found := portOwner(port); found != "" {
			owner = found
		}
	}
	return fmt.Errorf("listen on %s: %s has that port", address, owner)
}

// portOwner names the process that listens on a TCP port, as "nginx (process
// 123)"; empty when the kernel does not show it to this user.
func portOwner(port string) string {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if inode := listenerInode(table, fmt.Sprintf(":%04X", n)); inode != "" {
			return socketOwner("socket:[" + inode + "]")
		}
	}
	return ""
}

// listenerInode is the inode of the listening socket whose local address has the suffix.
func listenerInode(table, suffix string) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	const local, state, inode, listening = 1, 3, 9, "0A"
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > inode && fields[state] == listening && strings.HasSuffix(fields[local], suffix) {
			return fields[inode]
		}
	}
	return ""
}

func socketOwner(socket string) string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != socket {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err != nil {
			return "process " + pid
		}
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
