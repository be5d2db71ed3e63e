package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/internal/tools"
)

func TestRepository(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, r := range Rules {
			for _, path := range r.Broken(p) {
				t.Errorf("%s imports %s, against the rule %q: %s", p.Path, path, r.Name, r.Why)
			}
		}
		for _, fault := range Faults(p) {
			t.Errorf("package %s %s", p.Path, fault)
		}
	}
}

// TestRulesApply finds rules that select nothing: a room that was renamed would
// otherwise lose its rule in silence. Rooms of later work are named here.
func TestRulesApply(t *testing.T) {
	planned := []string{"daemon/metrics/...", "daemon/traffic/..."}
	packages := listPackages(t)
	for _, r := range Rules {
		selects := slices.ContainsFunc(packages, func(p Package) bool { return matchAny(r.From, p.Path) })
		if !selects && !slices.Contains(planned, r.From[0]) {
			t.Errorf("the rule %q selects no package: %v", r.Name, r.From)
		}
	}
}

func TestBroken(t *testing.T) {
	tests := []struct {
		name    string
		pkg     Package
		breaks  string
		imports string
	}{
		{"fleet and a library", Package{Path: "daemon/fleet"}, "fleet is the ground floor", "github.com/google/uuid"},
		{"fleet and a subsystem", Package{Path: "daemon/fleet"}, "fleet is the ground floor", module + "/daemon/deploy"},
		{"grammar and the provider", Package{Path: "internal/grammar"}, "grammar is a leaf", module + "/provider"},
		{"wire types and a library", Package{Path: "client/api"}, "wire types are plain", "github.com/google/uuid"},
		{"SDK and the daemon", Package{Path: "client"}, "the SDK knows the contract only", module + "/daemon/fleet"},
		{"provider and the daemon", Package{Path: "provider"}, "the provider speaks through the SDK", module + "/daemon/fleet"},
		{"daemon and the provider", Package{Path: "daemon"}, "nothing stands on the provider", module + "/provider"},
		{"deploy and wire types", Package{Path: "daemon/deploy"}, "the daemon stands on its own", module + "/client/api"},
		{"deploy and the Engine's client", Package{Path: "daemon/deploy"}, "one importer of the Engine's client", "github.com/docker/docker/client"},
		{"API and the driver", Package{Path: "daemon/httpapi"}, "one importer of the database driver", "github.com/jackc/pgx/v5"},
		{"API and DNS messages", Package{Path: "daemon/httpapi"}, "one importer of DNS messages", "github.com/miekg/dns"},
		{"discovery and traffic", Package{Path: "daemon/discovery"}, "discovery knows no other subsystem", module + "/daemon/traffic"},
		{"deploy and health", Package{Path: "daemon/deploy"}, "deploy knows no other subsystem", module + "/daemon/health"},
		{"deploy and an adapter", Package{Path: "daemon/deploy"}, "deploy knows no other subsystem", module + "/daemon/docker"},
		{"adapter and deploy", Package{Path: "daemon/docker"}, "adapters implement, and decide nothing", module + "/daemon/deploy"},
		{"adapter and adapter", Package{Path: "daemon/docker"}, "the adapters are strangers: docker", module + "/daemon/postgres"},
		{"API and an adapter", Package{Path: "daemon/httpapi"}, "the API knows no adapter", module + "/daemon/postgres"},
		{"daemon and failpoints", Package{Path: "daemon"}, "failpoints stay out of the product", module + "/daemon/failpoint"},
		{"product and test code", Package{Path: "daemon"}, "tests' surroundings stay out of the product", "testing"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			i := slices.IndexFunc(Rules, func(r Rule) bool { return r.Name == tc.breaks })
			if i < 0 {
				t.Fatalf("no rule is called %q", tc.breaks)
			}
			tc.pkg.Imports = []string{"context", tc.imports}
			if got := Rules[i].Broken(tc.pkg); !slices.Equal(got, []string{tc.imports}) {
				t.Errorf("Broken = %v, want %s alone", got, tc.imports)
			}
		})
	}
}

func TestKept(t *testing.T) {
	allowed := []Package{
		{Path: "daemon/fleet", Imports: []string{"context", "net/netip", module + "/internal/grammar"}},
		{Path: "provider", Imports: []string{"context", module + "/client", module + "/internal/grammar", "github.com/hashicorp/terraform-plugin-framework/resource"}},
		{Path: ".", Imports: []string{module + "/provider"}},
		{Path: "daemon", Imports: []string{module + "/daemon/docker", module + "/daemon/postgres", module + "/daemon/httpapi"}},
		{Path: "daemon/docker", Imports: []string{"github.com/docker/docker/client", module + "/daemon/fleet"}},
		{Path: "daemon/postgres/embedded", Imports: []string{"github.com/jackc/pgx/v5"}},
		{Path: "daemon/httpapi", Imports: []string{module + "/client/api", module + "/daemon/fleet"}},
	}
	for _, p := range allowed {
		for _, r := range Rules {
			if broken := r.Broken(p); broken != nil {
				t.Errorf("%s: the rule %q refuses %v", p.Path, r.Name, broken)
			}
		}
	}
}

func TestFaults(t *testing.T) {
	if got := Faults(Package{Path: "daemon/util", Name: "util"}); len(got) != 2 {
		t.Errorf("a package called util without a comment has the faults %q, want two", got)
	}
	if got := Faults(Package{Path: "daemon/fleet", Name: "fleet", Doc: "Package fleet is the nouns."}); got != nil {
		t.Errorf("a proper package has the faults %q", got)
	}
}

// listPackages lists every package of the module, without test files.
func listPackages(t *testing.T) []Package {
	t.Helper()
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Imports,GoFiles", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []Package
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Name, Doc string
			Imports, GoFiles      []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		path := "."
		if p.ImportPath != module {
			path = strings.TrimPrefix(p.ImportPath, module+"/")
		}
		packages = append(packages, Package{Path: path, Name: p.Name, Doc: p.Doc, Imports: p.Imports})
	}
	if len(packages) < 5 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	return packages
}
