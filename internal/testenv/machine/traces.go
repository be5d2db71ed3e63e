package machine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// removeNetworkTraces removes the default bridge and the firewall rules, which
// every Engine makes at its start and none removes at its end. What can't be
// removed does no harm and stays. Where another Engine runs, all is its own.
func removeNetworkTraces() {
	if anotherEngineRuns() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if ip := program("ip"); ip != "" {
		_ = exec.CommandContext(ctx, ip, "link", "delete", "docker0").Run()
	}
	iptables := program("iptables")
	if iptables == "" {
		return
	}
	for _, table := range []string{"filter", "nat"} {
		rules, err := exec.CommandContext(ctx, iptables, "-w", "5", "-t", table, "-S").Output()
		if err != nil {
			continue
		}
		for _, change := range undo(string(rules)) {
			_ = exec.CommandContext(ctx, iptables, append([]string{"-w", "5", "-t", table}, change...)...).Run()
		}
	}
}

// undo is the changes that take an Engine's rules out of a table, as iptables -S
// lists it: first the rules that lead to its chains and its bridge, then the
// chains, emptied before any is deleted, since they refer to each other.
func undo(rules string) (changes [][]string) {
	var deletions [][]string
	for line := range strings.Lines(rules) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		engines := strings.HasPrefix(fields[1], "DOCKER")
		switch {
		case fields[0] == "-N" && engines:
			changes = append(changes, []string{"-F", fields[1]})
			deletions = append(deletions, []string{"-X", fields[1]})
		case fields[0] == "-A" && !engines && leadsToEngine(fields[2:]):
			changes = append(changes, append([]string{"-D"}, fields[1:]...))
		}
	}
	return append(changes, deletions...)
}

func leadsToEngine(rule []string) bool {
	for i, word := range rule[:max(0, len(rule)-1)] {
		value := rule[i+1]
		switch word {
		case "-j":
			if strings.HasPrefix(value, "DOCKER") {
				return true
			}
		case "-i", "-o":
			if value == "docker0" {
				return true
			}
		}
	}
	return false
}

// anotherEngineRuns reports whether an Engine runs in this process's network namespace.
func anotherEngineRuns() bool {
	const namespace = "ns/net"
	own, err := os.Readlink(filepath.Join("/proc/self", namespace))
	if err != nil {
		return true
	}
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		command, err := os.ReadFile(name)
		if err != nil || strings.TrimSpace(string(command)) != "dockerd" {
			continue
		}
		if other, err := os.Readlink(filepath.Join(filepath.Dir(name), namespace)); err == nil && other == own {
			return true
		}
	}
	return false
}
