package provider

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// grammarValidator holds a string against a form of package grammar, the same
// that the daemon checks.
type grammarValidator struct {
	form  string // what the string must be, in words
	check func(string) error
}

var _ validator.String = grammarValidator{}

func (v grammarValidator) Description(context.Context) string { return "value must be " + v.form }

func (v grammarValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v grammarValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if err := v.check(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not "+v.form, fmt.Sprintf("%s %s.", req.Path, err))
	}
}

var (
	isName          = grammarValidator{"a DNS label", grammar.Name}
	isImageName     = grammarValidator{"an image name", grammar.ImageName}
	isImageTag      = grammarValidator{"an image tag", grammar.ImageTag}
	isRegistry      = grammarValidator{"a registry", valueless(grammar.Registry)}
	isEnvVar        = grammarValidator{"a variable name", grammar.EnvVar}
	isLabel         = grammarValidator{"a label key", grammar.Label}
	isCPU           = grammarValidator{"a CPU quantity", valueless(grammar.CPU)}
	isMemory        = grammarValidator{"a memory quantity", valueless(grammar.Memory)}
	isBytes         = grammarValidator{"a quantity of bytes", valueless(grammar.Bytes)}
	isHTTPPath      = grammarValidator{"an HTTP path", grammar.HTTPPath}
	isStatusRange   = grammarValidator{"a status or a range of them", checkStatusRange}
	isHealthHeader  = grammarValidator{"a header's name", grammar.HealthHeaderName}
	isContainerPath = grammarValidator{"a path inside a container", grammar.ContainerPath}
	isVolumeSource  = grammarValidator{"a volume source", grammar.VolumeSource}
	isUser          = grammarValidator{"a user", grammar.User}
	isSubnet        = grammarValidator{"a subnet", valueless[netip.Prefix](grammar.Subnet)}
	isAddress       = grammarValidator{"an IP address", valueless[netip.Addr](grammar.Address)}
	isDomain        = grammarValidator{"a domain name", grammar.Domain}
	isUUID          = grammarValidator{"a UUID", checkUUID}
	isDNSOption     = grammarValidator{"a resolver option", grammar.DNSOption}
	isPolicyName    = grammarValidator{"the name of a policy", grammar.PolicyName}
	isTime          = grammarValidator{"a time", checkTime}
)

func checkTime(s string) error {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return fmt.Errorf("%q is not a time; write it as RFC 3339, like 2026-06-06T08:30:00Z", s)
	}
	return nil
}

func checkUUID(s string) error {
	if !uuidPattern.MatchString(s) {
		return fmt.Errorf("%q is not a UUID; refer to the id of the resource, for example wedsync_container_definition.api.id", s)
	}
	return nil
}

func checkStatusRange(s string) error {
	_, _, err := grammar.StatusRange(s)
	return err
}

func valueless[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}

// Bounds of the daemon on what a container is given.
const (
	maxEnvEntry   = 128 << 10 // the kernel's limit for one NAME=value
	maxLabelValue = 4096
)

// entrySizeValidator bounds the bytes of each entry of a map of strings.
type entrySizeValidator struct {
	most    int
	withKey bool // count NAME=value with its end, as the kernel does
}

var _ validator.Map = entrySizeValidator{}

func (v entrySizeValidator) Description(context.Context) string {
	return fmt.Sprintf("each entry must have at most %d bytes", v.most)
}

func (v entrySizeValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

func (v entrySizeValidator) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for key, element := range req.ConfigValue.Elements() {
		value, ok := element.(types.String)
		if !ok {
			continue
		}
		size := len(value.ValueString())
		if v.withKey {
			size += len(key) + 2
		}
		if size > v.most {
			resp.Diagnostics.AddAttributeError(req.Path.AtMapKey(key), "Entry too long",
				fmt.Sprintf("%q is %d bytes long; at most %d are allowed.", key, size, v.most))
		}
	}
}
