package provider

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// addClientError reports what the daemon refused, field by field where it names
// fields, so that Terraform points at the line of the configuration.
func addClientError(diags *diag.Diagnostics, summary string, err error) {
	var refusal *client.Error
	if !errors.As(err, &refusal) {
		diags.AddError(summary, err.Error())
		return
	}
	p := refusal.Problem
	for _, field := range p.Errors {
		if at, ok := attributePath(field.Location); ok {
			diags.AddAttributeError(at, summary, fmt.Sprintf("%s %s.", at, field.Message))
		} else {
			diags.AddError(summary, fmt.Sprintf("%s %s.", field.Location, field.Message))
		}
	}
	if len(p.Errors) == 0 {
		diags.AddError(summary, problemText(p))
	}
}

// problemDetail is an error of the client as part of a longer text.
func problemDetail(err error) string {
	var refusal *client.Error
	if errors.As(err, &refusal) && len(refusal.Problem.Errors) == 0 {
		return problemText(refusal.Problem)
	}
	return err.Error()
}

func problemText(p *api.Problem) string {
	text := p.Detail + hint(p)
	if p.RequestID != "" {
		text += fmt.Sprintf("\n\nThe daemon's log has more under request %s.", p.RequestID)
	}
	return text
}

// hint says what usually puts a kind of problem right.
func hint(p *api.Problem) string {
	switch p.Code {
	case api.CodeUnauthenticated:
		return fmt.Sprintf("\n\nCheck the provider's token (or %s); \"wedsyncd token list\" shows those that are valid.", EnvToken)
	case api.CodeForbidden:
		return "\n\nThe token's role or its list of environments does not allow this; \"wedsyncd token list\" shows both."
	default:
		return ""
	}
}

// attributeNames are fields of requests that a resource calls otherwise.
var attributeNames = map[string]string{"replica_count": "replicas"}

var fieldStep = regexp.MustCompile(`^([^.\[\]]+)((?:\[\d+\])*)$`)

// attributePath turns the location of a field, such as
// "body.volume_mounts[0].source", into the path of the attribute that it came from.
func attributePath(location string) (path.Path, bool) {
	field, inBody := strings.CutPrefix(location, "body.")
	if !inBody {
		return path.Empty(), false
	}
	return fieldPath(path.Empty(), field)
}

// fieldPath turns a field, such as "volume_mounts[0].source", into a path below at.
// It is false when it is not written so.
func fieldPath(at path.Path, field string) (path.Path, bool) {
	for field != "" {
		step, tail, _ := strings.Cut(field, ".")
		m := fieldStep.FindStringSubmatch(step)
		if m == nil {
			return path.Empty(), false
		}
		name := m[1]
		if known, ok := attributeNames[name]; ok {
			name = known
		}
		at = at.AtName(name)
		if isSet(name) {
			return at, true // the wire's indices say nothing about a set
		}
		for index := range strings.SplitSeq(strings.Trim(m[2], "[]"), "][") {
			if n, err := strconv.Atoi(index); err == nil {
				at = at.AtListIndex(n)
			}
		}
		if isMap(name) && tail != "" {
			return at.AtMapKey(tail), true // keys may hold dots
		}
		field = tail
	}
	return at, true
}

func isSet(name string) bool { return name == "hosts" || name == "path_prefixes" }

func isMap(name string) bool { return name == "environment_config" || name == "labels" }
