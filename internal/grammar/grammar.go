// Package grammar is the text forms that the Terraform provider, the API and
// the daemon must agree on: quantities, names, ports, image references, paths and
// subnets. Each function returns an error that says what was wrong and what
// would be right, in words that fit behind the name of a field.
package grammar

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"path"
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// Bounds shared by every validator.
const (
	// MinMemory is the least memory that the Docker Engine gives a container.
	MinMemory int64 = 6 << 20
	// MaxMemory bounds memory and storage quantities: 1 PiB.
	MaxMemory int64 = 1 << 50
	// MaxMilliCPU bounds CPU quantities: 1,024 cores.
	MaxMilliCPU int64 = 1024 * 1000
	// MinMilliCPU is the least share of a core that the kernel's CPU quota can express.
	MinMilliCPU int64 = 10
	// MaxReplicas bounds the replicas of one definition in one environment.
	MaxReplicas = 1000
)

var (
	namePattern    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	envVarPattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	cpuPattern     = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(m?)$`)
	bytesPattern   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)$`)
	tagPattern     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	userPattern    = regexp.MustCompile(`^[a-z_][a-z0-9_-]*\$?$|^[0-9]+$`)
	labelPattern   = regexp.MustCompile(`^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$`)
	volumePattern  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$`)
	domainPattern  = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)
	optionPattern  = regexp.MustCompile(`^[a-z0-9-]+(:[0-9]+)?$`)
	byteMultiplier = map[string]int64{
		"": 1, "B": 1,
		"K": 1 << 10, "KI": 1 << 10, "KIB": 1 << 10, "KB": 1 << 10,
		"M": 1 << 20, "MI": 1 << 20, "MIB": 1 << 20, "MB": 1 << 20,
		"G": 1 << 30, "GI": 1 << 30, "GIB": 1 << 30, "GB": 1 << 30,
		"T": 1 << 40, "TI": 1 << 40, "TIB": 1 << 40, "TB": 1 << 40,
	}
)

// Name checks a DNS label, the form of definition, service, environment and
// network names: they become host names and parts of container names.
func Name(s string) error {
	if namePattern.MatchString(s) {
		return nil
	}
	if s == "" {
		return errors.New("must not be empty; use lower-case letters, digits and hyphens, for example wedding-api")
	}
	if len(s) > 63 {
		return fmt.Errorf("is %d characters long; at most 63 are allowed", len(s))
	}
	return fmt.Errorf("%q is not a DNS label; use lower-case letters, digits and inner hyphens, for example wedding-api", s)
}

// CPU reads a CPU quantity in thousandths of a core: "500m", "1000m", "1" or "0.5".
func CPU(s string) (milli int64, err error) {
	m := cpuPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a CPU quantity; write thousandths of a core as 500m, or cores as 1 or 0.5", s)
	}
	scale := int64(1000)
	if m[2] == "m" {
		scale = 1
	}
	milli, err = scaled(m[1], scale)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a CPU quantity: it is finer than a thousandth of a core; write 500m or 0.5", s)
	case milli < MinMilliCPU:
		return 0, fmt.Errorf("%q is below the minimum of %dm", s, MinMilliCPU)
	case milli > MaxMilliCPU:
		return 0, fmt.Errorf("%q is above the maximum of %d cores", s, MaxMilliCPU/1000)
	}
	return milli, nil
}

// Memory reads a memory quantity in bytes; see [Bytes] for its forms. It is at least [MinMemory].
func Memory(s string) (int64, error) {
	n, err := Bytes(s)
	if err != nil {
		return 0, err
	}
	if n < MinMemory {
		return 0, fmt.Errorf("%q is below the Docker Engine's minimum of 6Mi", s)
	}
	return n, nil
}

// Bytes reads a quantity of bytes: "512Mi", "2Gi", "512M", "10GB" or plain
// bytes. As Docker does, it takes every unit as a power of 1,024.
func Bytes(s string) (int64, error) {
	m := bytesPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a quantity of bytes; write 512Mi, 2Gi or 512M", s)
	}
	scale, ok := byteMultiplier[strings.ToUpper(m[2])]
	if !ok {
		return 0, fmt.Errorf("%q has the unknown unit %q; use Ki, Mi, Gi or Ti", s, m[2])
	}
	n, err := scaled(m[1], scale)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number of bytes; write 512Mi, 2Gi or 512M", s)
	case n <= 0:
		return 0, fmt.Errorf("%q must be greater than zero", s)
	case n > MaxMemory:
		return 0, fmt.Errorf("%q is above the maximum of 1024Ti", s)
	}
	return n, nil
}

var errNotWhole = errors.New("not a whole number of the smallest unit")

// scaled is number × scale where that is a whole number that fits; too large a
// number saturates, so that the caller's bound refuses it.
func scaled(number string, scale int64) (int64, error) {
	if len(number) > 40 {
		return math.MaxInt64, nil
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, errNotWhole
	}
	r.Mul(r, new(big.Rat).SetInt64(scale))
	if !r.IsInt() {
		return 0, errNotWhole
	}
	if !r.Num().IsInt64() {
		return math.MaxInt64, nil
	}
	return r.Num().Int64(), nil
}

// ImageName checks a repository name without tag or digest, such as
// "wedsync/api" or "registry.example.com:5000/wedsync/api".
func ImageName(s string) error {
	if s == "" {
		return errors.New("must not be empty; write a repository such as wedsync/api")
	}
	if repository := withoutHost(s); repository != strings.ToLower(repository) {
		return fmt.Errorf("%q is not an image name: it has upper-case letters; write a repository such as wedsync/api", s)
	}
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return fmt.Errorf("%q is not an image name: %s; write a repository such as wedsync/api", s, imageCause(err))
	}
	if !reference.IsNameOnly(named) {
		return fmt.Errorf("%q holds a tag or digest; write the repository alone and put the tag into image_tag", s)
	}
	return nil
}

// withoutHost is an image name without its registry, which a dot or a port tells
// from a folder of the repository.
func withoutHost(name string) string {
	if host, rest, ok := strings.Cut(name, "/"); ok && strings.ContainsAny(host, ".:") {
		return rest
	}
	return name
}

func imageCause(err error) string {
	if errors.Is(err, reference.ErrNameTooLong) {
		return "it is longer than 255 characters"
	}
	return "its form is invalid"
}

// ImageTag checks the tag of an image, such as "v1.4.2".
func ImageTag(s string) error {
	if tagPattern.MatchString(s) {
		return nil
	}
	return fmt.Errorf("%q is not an image tag; use at most 128 letters, digits, dots, hyphens and underscores, for example v1.4.2", s)
}

// Registry reads a registry as "registry.example.com", "127.0.0.1:5000" or with
// a leading "https://" or "http://", and returns its host with port.
func Registry(s string) (host string, err error) {
	host = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"), "/")
	invalid := fmt.Errorf("%q is not a registry; write its host, for example registry.example.com or 127.0.0.1:5000", s)
	if host == "" || strings.ContainsAny(host, "/@?# ") {
		return "", invalid
	}
	named, err := reference.ParseNamed(host + "/x")
	if err != nil || reference.Domain(named) != host {
		return "", invalid
	}
	return host, nil
}

// ImageReference joins registry, repository name and tag into the full
// reference that an engine takes. Registry may be empty.
func ImageReference(registry, name, tag string) (string, error) {
	if registry != "" {
		host, err := Registry(registry)
		if err != nil {
			return "", fmt.Errorf("registry_url %w", err)
		}
		if !strings.HasPrefix(name, host+"/") {
			name = host + "/" + name
		}
	}
	if err := ImageName(name); err != nil {
		return "", fmt.Errorf("image_name %w", err)
	}
	if err := ImageTag(tag); err != nil {
		return "", fmt.Errorf("image_tag %w", err)
	}
	return name + ":" + tag, nil
}

// EnvVar checks the name of an environment variable.
func EnvVar(s string) error {
	if envVarPattern.MatchString(s) && len(s) <= 256 {
		return nil
	}
	return fmt.Errorf("%q is not a variable name; use letters, digits and underscores, not starting with a digit, for example LOG_LEVEL", s)
}

// Label checks the key of a container label; keys below "wedsync." are the daemon's own.
func Label(s string) error {
	switch {
	case strings.HasPrefix(s, "wedsync."):
		return fmt.Errorf("%q is reserved: labels below wedsync. are set by wedsyncd", s)
	case !labelPattern.MatchString(s) || len(s) > 128:
		return fmt.Errorf("%q is not a label key; use lower-case letters, digits, dots, slashes and hyphens, for example team or com.example.team", s)
	}
	return nil
}

// Port checks a TCP port.
func Port(n int) error {
	if n < 1 || n > 65535 {
		return fmt.Errorf("%d is not a TCP port; use 1 to 65535", n)
	}
	return nil
}

// Replicas checks a number of replicas against a lower bound.
func Replicas(n, least int) error {
	if n < least || n > MaxReplicas {
		return fmt.Errorf("%d is out of range; use %d to %d replicas", n, least, MaxReplicas)
	}
	return nil
}

// HTTPPath checks the path of a health endpoint, such as "/health?full=1".
func HTTPPath(s string) error {
	if !strings.HasPrefix(s, "/") || strings.ContainsAny(s, " \t\r\n#") || len(s) > 1024 {
		return fmt.Errorf("%q is not a path; start it with a slash, for example /health", s)
	}
	return nil
}

// ContainerPath checks an absolute, clean path inside a container.
func ContainerPath(s string) error {
	if !path.IsAbs(s) || path.Clean(s) != s || s == "/" || strings.ContainsAny(s, ":\x00") {
		return fmt.Errorf("%q is not a path inside a container; write it absolute and clean, for example /var/lib/app", s)
	}
	return nil
}

// VolumeSource checks what is mounted: an absolute host path or the name of a volume.
func VolumeSource(s string) error {
	if path.IsAbs(s) {
		if path.Clean(s) != s || strings.ContainsAny(s, ":\x00") {
			return fmt.Errorf("%q is not a clean absolute path; write for example /srv/data", s)
		}
		return nil
	}
	if !volumePattern.MatchString(s) {
		return fmt.Errorf("%q is neither an absolute host path such as /srv/data nor a volume name such as app-data", s)
	}
	return nil
}

// User checks a "user", "uid", "user:group" or "uid:gid".
func User(s string) error {
	user, group, grouped := strings.Cut(s, ":")
	if !userPattern.MatchString(user) || grouped && !userPattern.MatchString(group) {
		return fmt.Errorf("%q is not a user; write a name or number with an optional group, for example app or 10001:10001", s)
	}
	return nil
}

// Subnet checks an IPv4 or IPv6 network in CIDR form with no host bits set.
func Subnet(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a subnet; write it in CIDR form, for example 10.20.0.0/24", s)
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("%q has host bits set; the network is %s", s, p.Masked())
	}
	return p, nil
}

// Gateway checks an address inside a subnet; subnet may be empty, which is an error with a gateway.
func Gateway(s, subnet string) error {
	a, err := Address(s)
	if err != nil {
		return err
	}
	if subnet == "" {
		return errors.New("needs a subnet beside it; give the subnet that holds this address")
	}
	p, err := Subnet(subnet)
	if err != nil {
		return nil //nolint:nilerr // the subnet's own check reports it
	}
	if !p.Contains(a) {
		return fmt.Errorf("%s is outside of the subnet %s", s, subnet)
	}
	return nil
}

// Address checks an IP address without zone.
func Address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address; write for example 10.20.0.1", s)
	}
	return a, nil
}

// Domain checks a DNS search domain.
func Domain(s string) error {
	if !domainPattern.MatchString(s) || len(s) > 253 {
		return fmt.Errorf("%q is not a domain name; write for example example.internal", s)
	}
	return nil
}

// DNSOption checks a resolver option, such as "ndots:2".
func DNSOption(s string) error {
	if !optionPattern.MatchString(s) {
		return fmt.Errorf("%q is not a resolver option; write for example ndots:2 or rotate", s)
	}
	return nil
}
