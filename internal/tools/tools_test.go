package tools

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPinnedVersions(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range catalogue {
		version, err := pinned(filepath.Join(root, "internal", "tools", tool.Name, "go.mod"), tool.Module)
		if err != nil {
			t.Error(err)
		}
		if strings.Count(version, ".") != 2 || strings.HasPrefix(version, "v") {
			t.Errorf("%s is pinned to %q, want a version such as 1.2.3", tool.Name, version)
		}
	}
}

func TestPathOfABuiltTool(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(EnvCache, cache)
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	version, err := pinned(filepath.Join(root, "internal", "tools", SQLC, "go.mod"), "github.com/sqlc-dev/sqlc")
	if err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(cache, "sqlc-"+version)
	if err := os.WriteFile(built, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := Path(t.Context(), SQLC, io.Discard)
	if err != nil || got != built {
		t.Errorf("Path = %q, %v; want %q", got, err, built)
	}
}

func TestPathOfAnUnknownTool(t *testing.T) {
	_, err := Path(t.Context(), "terraformer", io.Discard)
	if err == nil || !strings.Contains(err.Error(), "terraformer") || !strings.Contains(err.Error(), OpenTofu) {
		t.Errorf("Path = %v, want an error that names the tool and those that there are", err)
	}
}

func TestPinnedNeedsTheModule(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go.mod")
	if err := os.WriteFile(file, []byte("module x\n\nrequire example.com/a v1.2.3 // indirect\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := pinned(file, "example.com/a"); err != nil || got != "1.2.3" {
		t.Errorf("pinned = %q, %v", got, err)
	}
	if _, err := pinned(file, "example.com/b"); err == nil {
		t.Error("pinned finds a module that is not required")
	}
}

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if second, err := lock(impatient, path); err == nil {
		second()
		t.Error("a second lock was given while the first is held")
	}
	unlock()
	again, err := lock(t.Context(), path)
	if err != nil {
		t.Fatalf("the lock that was given back can't be had: %v", err)
	}
	again()
}
