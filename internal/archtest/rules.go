package archtest

import (
	"slices"
	"strings"
)

// module is the import path of this repository's root.
const module = "github.com/wedsync/terraform-provider-wedsync"

// Package is what the rules look at: a package, its documentation and what its
// non-test files import.
type Package struct {
	// Path is the import path below the module; "." is the module's root.
	Path    string
	Name    string
	Doc     string
	Imports []string
}

// Rule says which imports packages may not have, and why.
type Rule struct {
	Name string
	// From selects packages of this module by patterns of their Path: a path, or
	// "path/..." for it with all below it.
	From []string
	// Except takes packages out of From again.
	Except []string
	// Forbid are import paths that are refused, "path/..." with all below. "std"
	// stands for the standard library and "any" for everything.
	Forbid []string
	// Allow takes import paths out of Forbid again.
	Allow []string
	Why   string
}

// subsystems are the parts of the daemon that know fleet, and not each other.
var subsystems = []string{"access", "autoscale", "deploy", "discovery", "health", "metrics", "traffic"}

// adapters are the parts of the daemon that speak to something outside.
var adapters = ours("daemon/docker/...", "daemon/postgres/...")

// Rules are the import rules of the repository.
var Rules = append([]Rule{
	{
		Name: "fleet is the ground floor",
		From: []string{"daemon/fleet"}, Forbid: []string{"any"},
		Allow: append(ours("internal/grammar"), "std"),
		Why:   "every other room speaks in its nouns, so it may depend on none of them, nor on a library that could change them",
	},
	{
		Name: "grammar is a leaf",
		From: []string{"internal/grammar"}, Forbid: []string{"any"},
		Allow: []string{"std", "github.com/distribution/reference", "github.com/netresearch/go-cron"},
		Why:   "the provider and the daemon share it, and must not reach each other through it",
	},
	{
		Name: "wire types are plain",
		From: []string{"client/api"}, Forbid: []string{"any"}, Allow: []string{"std"},
		Why: "whoever imports the SDK gets no third-party types in its signatures",
	},
	{
		Name: "the SDK knows the contract only",
		From: []string{"client/..."}, Forbid: ours("..."), Allow: ours("client/api"),
		Why: "the SDK is public and must build without the daemon",
	},
	{
		Name: "the provider speaks through the SDK",
		From: []string{"provider/..."}, Forbid: ours("..."),
		Allow: ours("client", "client/api", "internal/grammar", "provider/..."),
		Why:   "everything that Terraform can do, another program can do with the SDK",
	},
	{
		Name: "nothing stands on the provider",
		From: []string{"..."}, Except: []string{".", "provider/..."}, Forbid: ours("provider/..."),
		Why: "it is the top of its building; only main.go serves it",
	},
	{
		Name: "the daemon stands on its own",
		From: []string{"daemon/..."}, Except: []string{"daemon/httpapi/..."},
		Forbid: ours("client/...", "provider/..."),
		Why:    "wire types and domain types are two types with one conversion, in httpapi",
	},
	{
		Name: "one importer of the Engine's client",
		From: []string{"..."}, Except: []string{"daemon/docker/...", "internal/testenv/..."},
		Forbid: []string{"github.com/docker/docker/...", "github.com/docker/go-connections/..."},
		Why:    "its successor is then a change of one package",
	},
	{
		Name: "one importer of the database driver",
		From: []string{"..."}, Except: []string{"daemon/postgres/...", "internal/testenv/..."},
		Forbid: []string{"github.com/jackc/pgx/...", "github.com/pressly/goose/...", "database/sql/..."},
		Why:    "row level security holds only where every query goes through one door",
	},
	{
		Name: "one importer of DNS messages",
		From: []string{"..."}, Except: []string{"daemon/discovery"},
		Forbid: []string{"github.com/miekg/dns/..."},
		Why:    "its successor is then a change of one package",
	},
	{
		Name: "one importer of certmagic",
		From: []string{"..."}, Except: []string{"daemon/traffic/certificates"},
		Forbid: []string{"github.com/caddyserver/certmagic/...", "github.com/mholt/acmez/...", "go.uber.org/zap/..."},
		Why:    "what it takes along, a logger of its own among it, stays in one room",
	},
	{
		Name: "adapters implement, and decide nothing",
		From: []string{"daemon/docker/...", "daemon/postgres/..."},
		Forbid: slices.Concat(ours("daemon", "daemon/httpapi/...", "daemon/dashboard/..."),
			ours("daemon/access", "daemon/autoscale", "daemon/deploy", "daemon/discovery", "daemon/health", "daemon/metrics", "daemon/traffic/...")),
		Why: "they satisfy interfaces that the subsystems declare, without knowing them",
	},
	{
		Name: "the adapters are strangers: docker",
		From: []string{"daemon/docker/..."}, Forbid: ours("daemon/postgres/..."),
		Why: "what needs both is wired in package daemon",
	},
	{
		Name: "the adapters are strangers: postgres",
		From: []string{"daemon/postgres/..."}, Forbid: ours("daemon/docker/..."),
		Why: "what needs both is wired in package daemon",
	},
	{
		Name: "the API knows no adapter",
		From: []string{"daemon/httpapi/..."}, Forbid: append(slices.Clone(adapters), ours("daemon")...),
		Why: "it is tested with interfaces, and works over every engine",
	},
	{
		Name: "only the wiring sees everything",
		From: []string{"..."}, Except: []string{"daemon", "daemon/wedsyncd", "daemon/docker/...", "daemon/postgres/...", "internal/testenv/...", "internal/demo/..."},
		Forbid: append(slices.Clone(adapters), ours("daemon")...),
		Why:    "package daemon is the only place where the parts are put together",
	},
	{
		Name: "gRPC and WebSocket are carried, not spoken",
		From: []string{"..."}, Except: []string{"examples/demo-app"},
		Forbid: []string{"google.golang.org/grpc/...", "github.com/coder/websocket/..."},
		Why:    "to the daemon they are HTTP; only what is deployed, and tests, need to understand them",
	},
	{
		Name: "tests' surroundings stay out of the product",
		From: []string{"..."}, Except: []string{"internal/testenv/...", "internal/demo/..."},
		Forbid: append(ours("internal/testenv/..."), "testing"),
		Why:    "the programs that users run carry no test code",
	},
	{
		Name: "failpoints stay out of the product",
		From: []string{"..."}, Except: []string{"internal/testenv/..."},
		Forbid: ours("daemon/failpoint"),
		Why:    "only a build with the tag failpoints, which tests make for themselves, may be told to kill itself",
	},
}, betweenSubsystems()...)

// betweenSubsystems forbids each subsystem its neighbours and everything that stands above it.
func betweenSubsystems() []Rule {
	var rules []Rule
	for _, s := range subsystems {
		forbid := append(ours("daemon", "daemon/httpapi/...", "daemon/dashboard/..."), adapters...)
		for _, other := range subsystems {
			if other != s {
				forbid = append(forbid, ours("daemon/"+other+"/...")...)
			}
		}
		rules = append(rules, Rule{
			Name: s + " knows no other subsystem",
			From: []string{"daemon/" + s + "/..."}, Forbid: forbid,
			Why: "subsystems meet in the store only, so that each can be read, tested and replaced alone",
		})
	}
	return rules
}

// ours turns patterns of Paths into patterns of import paths.
func ours(patterns ...string) []string {
	full := make([]string, 0, len(patterns))
	for _, p := range patterns {
		full = append(full, module+"/"+p)
	}
	return full
}

// Broken lists the imports of the package that the rule forbids.
func (r Rule) Broken(p Package) []string {
	if !matchAny(r.From, p.Path) || matchAny(r.Except, p.Path) {
		return nil
	}
	var broken []string
	for _, path := range p.Imports {
		if matchAny(r.Forbid, path) && !matchAny(r.Allow, path) {
			broken = append(broken, path)
		}
	}
	return broken
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, path) })
}

func match(pattern, path string) bool {
	switch pattern {
	case "any", "...":
		return true
	case "std":
		first, _, _ := strings.Cut(path, "/")
		return !strings.Contains(first, ".")
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return pattern == path
}

// vagueNames say nothing about what a package is for, and so attract everything.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "shared", "base"}

// Faults lists what is wrong with a package apart from its imports.
func Faults(p Package) []string {
	var faults []string
	if slices.Contains(vagueNames, p.Name) {
		faults = append(faults, "is called "+p.Name+": name it after what it provides")
	}
	if p.Doc == "" {
		faults = append(faults, "has no package comment: say what it is for and what it is not")
	}
	return faults
}
