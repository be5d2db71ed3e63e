package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

// checker holds requests against the schemas of the OpenAPI document, so that
// what the document says is what is enforced.
type checker struct {
	registry huma.Registry
	patterns map[string]*regexp.Regexp
}

// parameters checks those of a request.
func (c *checker) parameters(f *faults, op *huma.Operation, r *http.Request) {
	c.path(f, op, r)
	c.query(f, op, r)
	c.headers(f, op, r)
}

func (c *checker) path(f *faults, op *huma.Operation, r *http.Request) {
	for _, p := range op.Parameters {
		if p.In == "path" {
			c.text(f, "path."+p.Name, p.Schema, r.PathValue(p.Name))
		}
	}
}

func (c *checker) query(f *faults, op *huma.Operation, r *http.Request) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		f.add("query", "cannot be read; percent-encode its values")
		return
	}
	known := map[string]*huma.Param{}
	for _, p := range op.Parameters {
		if p.In != "query" {
			continue
		}
		known[p.Name] = p
		if p.Required && !values.Has(p.Name) {
			f.add("query."+p.Name, "is required")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		location := "query." + name
		switch p := known[name]; {
		case p == nil:
			f.add(location, "is not a parameter of this operation%s", alternatives(known))
		case len(values[name]) > 1:
			f.add(location, "appears %d times; give it once", len(values[name]))
		default:
			c.text(f, location, p.Schema, values.Get(name))
		}
	}
}

func alternatives(known map[string]*huma.Param) string {
	if len(known) == 0 {
		return "; it takes none"
	}
	return "; it takes " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}

func (c *checker) headers(f *faults, op *huma.Operation, r *http.Request) {
	for _, p := range op.Parameters {
		if p.In != "header" {
			continue
		}
		location := "header." + p.Name
		switch values := r.Header.Values(p.Name); len(values) {
		case 0:
			if p.Required {
				f.add(location, "is required")
			}
		case 1:
			c.text(f, location, p.Schema, values[0])
		default:
			f.add(location, "appears %d times; give it once", len(values))
		}
	}
}

// text checks a parameter, which is text whatever its type.
func (c *checker) text(f *faults, location string, s *huma.Schema, text string) {
	switch s.Type {
	case huma.TypeInteger:
		c.value(f, location, s, json.Number(text))
	case huma.TypeBoolean:
		if text != "true" && text != "false" {
			f.add(location, "%q is neither true nor false", text)
		}
	default:
		c.value(f, location, s, text)
	}
}

func (c *checker) value(f *faults, location string, s *huma.Schema, v any) {
	s, nullable := c.resolve(s)
	if v == nil {
		if !nullable {
			f.add(location, "must not be null; leave it out or give a value")
		}
		return
	}
	switch s.Type {
	case huma.TypeString:
		c.str(f, location, s, v)
	case huma.TypeInteger:
		c.integer(f, location, s, v)
	case huma.TypeNumber:
		c.number(f, location, s, v)
	case huma.TypeBoolean:
		if _, ok := v.(bool); !ok {
			wrongType(f, location, "true or false", v)
		}
	case huma.TypeArray:
		c.array(f, location, s, v)
	case huma.TypeObject:
		c.object(f, location, s, v)
	}
}

// resolve follows references, and takes "this or null" apart.
func (c *checker) resolve(s *huma.Schema) (resolved *huma.Schema, nullable bool) {
	nullable = s.Nullable
	for {
		switch {
		case s.Ref != "":
			s = c.registry.SchemaFromRef(s.Ref)
		case len(s.AnyOf) == 2 && s.AnyOf[1].Type == typeNull:
			s, nullable = s.AnyOf[0], true
		default:
			return s, nullable
		}
	}
}

func (c *checker) str(f *faults, location string, s *huma.Schema, v any) {
	text, ok := v.(string)
	if !ok {
		wrongType(f, location, "a string", v)
		return
	}
	length := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		f.add(location, "holds a NUL character or is not UTF-8; use plain text")
	case s.MinLength != nil && length < *s.MinLength:
		f.add(location, "must not be empty")
	case s.MaxLength != nil && length > *s.MaxLength:
		f.add(location, "is %d characters long; at most %d are allowed", length, *s.MaxLength)
	case s.Pattern != "" && !c.patterns[s.Pattern].MatchString(text):
		f.add(location, "%q is not %s", text, s.PatternDescription)
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, any(text)):
		f.add(location, "%q is not known; use %s", text, oneOf(s.Enum))
	default:
		format(f, location, s.Format, text)
	}
}

func format(f *faults, location, name, text string) {
	switch name {
	case "uuid":
		if _, err := uuid.Parse(text); err != nil || len(text) != 36 {
			f.add(location, "%q is not a UUID; write it like 0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", text)
		}
	case "date-time":
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			f.add(location, "%q is not a time; write it as RFC 3339, like 2026-06-06T08:30:00Z", text)
		}
	}
}

func oneOf(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func (c *checker) integer(f *faults, location string, s *huma.Schema, v any) {
	number, ok := v.(json.Number)
	if !ok {
		wrongType(f, location, "a whole number", v)
		return
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		if _, numeric := new(big.Float).SetString(number.String()); !numeric {
			f.add(location, "%q is not a whole number", number)
			return
		}
		f.add(location, "%s is not a whole number in range%s", clip(number.String()), bounds(s))
		return
	}
	if s.Minimum != nil && float64(n) < *s.Minimum || s.Maximum != nil && float64(n) > *s.Maximum {
		f.add(location, "%d is out of range%s", n, bounds(s))
	}
}

func (c *checker) number(f *faults, location string, s *huma.Schema, v any) {
	number, ok := v.(json.Number)
	if !ok {
		wrongType(f, location, "a number", v)
		return
	}
	n, err := strconv.ParseFloat(number.String(), 64)
	if err != nil {
		f.add(location, "%s is not a number that can be kept; use one of at most 1.7e308", clip(number.String()))
		return
	}
	if s.Minimum != nil && n < *s.Minimum || s.Maximum != nil && n > *s.Maximum {
		f.add(location, "%s is out of range%s", clip(number.String()), bounds(s))
	}
}

func bounds(s *huma.Schema) string {
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf("; use %.0f to %.0f", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		return fmt.Sprintf("; use at least %.0f", *s.Minimum)
	default:
		return ""
	}
}

func clip(text string) string {
	if len(text) > 32 {
		return text[:32] + "…"
	}
	return text
}

func (c *checker) array(f *faults, location string, s *huma.Schema, v any) {
	items, ok := v.([]any)
	if !ok {
		wrongType(f, location, "a list", v)
		return
	}
	if s.MaxItems != nil && len(items) > *s.MaxItems {
		f.add(location, "has %d entries; at most %d are allowed", len(items), *s.MaxItems)
		return
	}
	for i, item := range items {
		c.value(f, fmt.Sprintf("%s[%d]", location, i), s.Items, item)
	}
}

func (c *checker) object(f *faults, location string, s *huma.Schema, v any) {
	members, ok := v.(map[string]any)
	if !ok {
		wrongType(f, location, "an object", v)
		return
	}
	for _, name := range s.Required {
		if _, given := members[name]; !given {
			f.add(location+"."+name, "is required")
		}
	}
	open, isOpen := s.AdditionalProperties.(*huma.Schema)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		inner := location + "." + name
		switch property := s.Properties[name]; {
		case property != nil:
			c.value(f, inner, property, members[name])
		case strings.ContainsRune(name, 0):
			f.add(location, "has a member whose name holds a NUL character")
		case isOpen:
			c.value(f, inner, open, members[name])
		default:
			f.add(inner, "is not a field; %s", similar(name, s))
		}
	}
}

// similar suggests the field that differs from name in case, hyphens or underscores
// only, or else all that there are.
func similar(name string, s *huma.Schema) string {
	fields := slices.Sorted(maps.Keys(s.Properties))
	plain := strings.NewReplacer("_", "", "-", "")
	for _, field := range fields {
		if strings.EqualFold(plain.Replace(field), plain.Replace(name)) {
			return "did you mean " + field + "?"
		}
	}
	return "possible are " + strings.Join(fields, ", ")
}

func wrongType(f *faults, location, want string, v any) {
	f.add(location, "must be %s, not %s", want, typeOf(v))
}

func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
