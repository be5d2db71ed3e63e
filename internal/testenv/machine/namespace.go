package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// namespaceFile, in a private Engine's folder, stands for its network namespace.
const namespaceFile = "net"

// maxNamespaces bounds how many namespaces of ours the machine has at the same time.
const maxNamespaces = 250

// Namespace is a network namespace of our own. A pair of interfaces connects it
// with the machine's, for this machine alone: nothing is routed through it.
type Namespace struct {
	// Address is an address of this machine inside the namespace, reachable from outside of it.
	Address string

	file string // holds it open while no process is in it
	link string // the end of the pair outside
}

// makeNamespace makes a namespace and the file that stands for it. What it could
// not finish is returned with the error, to be taken away again.
func makeNamespace(ctx context.Context, file string) (*Namespace, error) {
	n := &Namespace{file: file}
	if program("ip") == "" {
		return n, errors.New("make network namespace: this machine lacks the program ip; install Debian's package iproute2")
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return n, fmt.Errorf("make network namespace: %w", err)
	}
	if err := run(exec.CommandContext(ctx, program("unshare"), "--net="+file, "true")); err != nil {
		return n, fmt.Errorf("make network namespace: %w", err)
	}
	if err := n.connect(ctx); err != nil {
		return n, fmt.Errorf("connect network namespace: %w", err)
	}
	return n, nil
}

// connect joins the namespace to the machine's. The addresses are of the range
// that RFC 2544 keeps for tests; which of them are free the interfaces' names
// tell, since the kernel refuses one that is there.
func (n *Namespace) connect(ctx context.Context) error {
	ip := program("ip")
	for k := 1; n.link == ""; k++ {
		link := "wedsync" + strconv.Itoa(k)
		err := run(exec.CommandContext(ctx, ip, "link", "add", link, "type", "veth", "peer", "name", "outside", "netns", n.file))
		if err == nil {
			n.link, n.Address = link, fmt.Sprintf("198.18.%d.2", k)
		} else if k == maxNamespaces || !strings.Contains(err.Error(), "File exists") {
			return err
		}
	}
	for _, cmd := range []*exec.Cmd{
		exec.CommandContext(ctx, ip, "address", "add", strings.TrimSuffix(n.Address, "2")+"1/30", "dev", n.link),
		exec.CommandContext(ctx, ip, "link", "set", n.link, "up"),
		n.Command(ip, "address", "add", n.Address+"/30", "dev", "outside"),
		n.Command(ip, "link", "set", "outside", "up"),
		n.Command(ip, "link", "set", "lo", "up"),
	} {
		if err := run(cmd); err != nil {
			return err
		}
	}
	return nil
}

// Command is a command that runs in the namespace; in the machine's own for nil.
// It becomes the program, so that its process is the program's.
func (n *Namespace) Command(path string, args ...string) *exec.Cmd {
	if n == nil {
		return exec.Command(path, args...)
	}
	return exec.Command(program("nsenter"), append([]string{"--net=" + n.file, path}, args...)...)
}

// disconnect takes the pair of interfaces away at once; otherwise that happens a
// while after the last process in the namespace has ended.
func (n *Namespace) disconnect() {
	if n != nil && n.link != "" {
		_ = exec.Command(program("ip"), "link", "delete", n.link).Run()
	}
}

// run runs a command; its error holds what it wrote.
func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
