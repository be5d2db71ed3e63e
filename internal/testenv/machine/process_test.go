package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func startShell(t *testing.T, script string) (p *Process, record string) {
	t.Helper()
	dir := t.TempDir()
	record = filepath.Join(dir, "process.json")
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), "READY="+filepath.Join(dir, "ready"))
	p, err := Start(cmd, filepath.Join(dir, "log"), record, "fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(0) })
	err = Await(t.Context(), 5*time.Millisecond, func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, record
}

func TestProcessIsFoundByItsRecord(t *testing.T) {
	p, record := startShell(t, `: >"$READY"; exec sleep 600`)
	found, err := Load(record)
	if err != nil || found == nil {
		t.Fatalf("Load = %v, %v; want the process", found, err)
	}
	if found.PID != p.PID || found.Program != "fingerprint" {
		t.Errorf("Load = %+v, want process %d with its fingerprint", found, p.PID)
	}
	if err := found.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("the process runs after Stop")
	}
	if found, err := Load(record); found != nil || err != nil {
		t.Errorf("Load of an ended process = %v, %v; want nil, nil", found, err)
	}
}

func TestProcessThatIgnoresTermIsKilled(t *testing.T) {
	p, _ := startShell(t, `trap "" TERM; : >"$READY"; exec sleep 600`)
	if err := p.Stop(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("the process runs after Stop")
	}
}

// Another process has got the identifier of one that ended: it must be left alone.
func TestProcessOfAnotherStartIsNotOurs(t *testing.T) {
	tests := map[string]func(*Process){
		"other start": func(p *Process) { p.StartTicks++ },
		"other boot":  func(p *Process) { p.Boot = "before" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			p, record := startShell(t, `: >"$READY"; exec sleep 600`)
			other := Process{PID: p.PID, StartTicks: p.StartTicks, Boot: p.Boot}
			change(&other)
			data, err := json.Marshal(other)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(record, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := Load(record); found != nil || err != nil {
				t.Errorf("Load = %v, %v; want nil, nil", found, err)
			}
			if err := other.Stop(0); err != nil {
				t.Error(err)
			}
			if !p.Running() {
				t.Error("Stop ended a process of another start")
			}
		})
	}
}

func TestPortInUseNamesItsOwner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = CheckPortFree(l.Addr().String())
	if want := fmt.Sprintf("(process %d)", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("CheckPortFree = %v, want %q in it", err, want)
	}
	l.Close()
	if err := CheckPortFree(l.Addr().String()); err != nil {
		t.Errorf("CheckPortFree of a free port: %v", err)
	}
}

func TestOlderThan(t *testing.T) {
	tests := []struct {
		version, than string
		want          bool
	}{
		{"1.4.9", "1.5.0", true},
		{"1.5.0", "1.5.0", false},
		{"1.5.0-beta1", "1.5.0", false},
		{"1.11.4", "1.5.0", false},
		{"0.15.5", "1.5.0", true},
		{"v2.0.0", "1.5.0", false},
		{"", "1.5.0", true},
	}
	for _, tc := range tests {
		if got := OlderThan(tc.version, tc.than); got != tc.want {
			t.Errorf("OlderThan(%q, %q) = %v, want %v", tc.version, tc.than, got, tc.want)
		}
	}
}

func TestSocketOf(t *testing.T) {
	if got, err := SocketOf("unix:///run/docker.sock"); err != nil || got != "/run/docker.sock" {
		t.Errorf("SocketOf = %q, %v", got, err)
	}
	if _, err := SocketOf("tcp://10.0.0.1:2375"); err == nil || !strings.Contains(err.Error(), "tcp://10.0.0.1:2375") {
		t.Errorf("SocketOf of another machine = %v, want an error that names it", err)
	}
}

func TestInstallNeedsNothingWhereAllIsThere(t *testing.T) {
	there := Requirement{Name: "a shell", Found: func(ctx context.Context) bool { return program("sh") != "" }}
	var progress strings.Builder
	if err := Install(t.Context(), &progress, there); err != nil {
		t.Fatal(err)
	}
	if progress.Len() > 0 {
		t.Errorf("Install tells %q, want nothing", progress.String())
	}
}
