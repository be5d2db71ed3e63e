package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Requirement is something that the machine must have.
type Requirement struct {
	// Name is what a person calls it.
	Name string
	// Packages are Debian's packages that bring it.
	Packages []string
	// Found reports whether the machine has it.
	Found func(ctx context.Context) bool
}

// DockerEngine is an Engine that answers, or the programs to start one.
var DockerEngine = Requirement{
	Name:     "Docker Engine",
	Packages: []string{"docker.io", "iptables"},
	Found: func(ctx context.Context) bool {
		if EngineAnswers(ctx, EngineHost()) == nil {
			return true
		}
		return program("dockerd") != "" && program("iptables") != ""
	},
}

// Namespaces is the program that connects an Engine's network namespace.
var Namespaces = Requirement{
	Name:     "iproute2",
	Packages: []string{"iproute2"},
	Found:    func(context.Context) bool { return program("ip") != "" },
}

// Postgres is the programs that make and run a Postgres server.
var Postgres = Requirement{
	Name:     "Postgres",
	Packages: []string{"postgresql"},
	Found: func(context.Context) bool {
		if program("initdb") != "" {
			return true
		}
		versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
		return len(versions) > 0
	},
}

// DockerCompose is the program docker-compose, which benchmarks compare with.
var DockerCompose = Requirement{
	Name:     "docker-compose",
	Packages: []string{"docker-compose"},
	Found:    func(context.Context) bool { return program("docker-compose") != "" },
}

// Dig is the program dig, with which tests ask as an ordinary resolver does.
var Dig = Requirement{
	Name:     "dig",
	Packages: []string{"bind9-dnsutils"},
	Found:    func(context.Context) bool { return program("dig") != "" },
}

// Balancers are what the balancer is measured beside, and what loads them.
var Balancers = Requirement{
	Name:     "HAProxy, nginx, Caddy and wrk",
	Packages: []string{"haproxy", "nginx", "caddy", "wrk"},
	Found: func(context.Context) bool {
		return program("haproxy") != "" && program("nginx") != "" && program("caddy") != "" && program("wrk") != ""
	},
}

// program finds an executable in PATH or in the system folders, which an
// ordinary user's PATH lacks.
func program(name string) string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// Install makes sure of the requirements. What is there stays as it is. What is
// missing is installed as a Debian package; where that cannot be done, the error
// says what to install.
func Install(ctx context.Context, progress io.Writer, requirements ...Requirement) error {
	var names, packages []string
	for _, r := range requirements {
		if !r.Found(ctx) {
			names = append(names, r.Name)
			packages = append(packages, r.Packages...)
		}
	}
	if len(names) == 0 {
		return nil
	}
	missing, wanted := strings.Join(names, " and "), strings.Join(packages, " ")
	switch {
	case !isDebian():
		return fmt.Errorf("install requirements: this machine lacks %s; install it and run this again (on Debian it would be the packages %s)", missing, wanted)
	case os.Geteuid() != 0:
		return fmt.Errorf("install requirements: this machine lacks %s; run \"sudo apt-get install %s\", or this command as root", missing, wanted)
	}
	fmt.Fprintf(progress, "installing %s (Debian packages %s)\n", missing, wanted)
	began := time.Now()
	if err := apt(ctx, "update", "-q"); err != nil {
		return err
	}
	if err := apt(ctx, append([]string{"install", "-q", "-y"}, packages...)...); err != nil {
		return err
	}
	for _, r := range requirements {
		if !r.Found(ctx) {
			return fmt.Errorf("install requirements: %s is still missing after its packages %s were installed", r.Name, strings.Join(r.Packages, " "))
		}
	}
	fmt.Fprintf(progress, "installed %s in %s\n", missing, time.Since(began).Round(time.Second))
	return nil
}

// isDebian reports whether the packages of Debian, or of a system made from it, can be installed.
func isDebian() bool {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil || program("apt-get") == "" {
		return false
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if (key == "ID" || key == "ID_LIKE") && strings.Contains(value, "debian") {
			return true
		}
	}
	return false
}

func apt(ctx context.Context, args ...string) error {
	args = append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)
	cmd := exec.CommandContext(ctx, program("apt-get"), args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "LC_ALL=C.UTF-8")
	// dpkg left half-way needs a person to repair it: let it end its step.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", args[2], errors.Join(context.Cause(ctx), err), bytes.TrimSpace(out))
	}
	return nil
}
