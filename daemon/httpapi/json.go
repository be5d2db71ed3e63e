package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// maxDepth bounds how deep objects and lists of a body may nest.
const maxDepth = 32

// malformed is a body that is not one JSON value. Location names the part at fault.
type malformed struct {
	location string
	message  string
}

func (m *malformed) Error() string { return m.location + ": " + m.message }

// problem is the answer to it.
func (m *malformed) problem() *problem {
	return kindMalformed.problem(m.message, api.FieldError{Location: m.location, Message: m.message})
}

// parseJSON reads exactly one JSON value, with numbers as json.Number. Unlike
// encoding/json it refuses members that appear twice, text that is not UTF-8 and
// nesting beyond maxDepth.
func parseJSON(body []byte) (any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, &malformed{"body", "is empty; send a JSON object"}
	}
	if !utf8.Valid(body) {
		return nil, &malformed{"body", "is not UTF-8"}
	}
	p := &parser{dec: json.NewDecoder(bytes.NewReader(body))}
	p.dec.UseNumber()
	v, err := p.value("body", 0)
	if err != nil {
		return nil, p.explain(err)
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &malformed{"body", "has something after the JSON value; send exactly one"}
	}
	return v, nil
}

type parser struct {
	dec *json.Decoder
}

func (p *parser) explain(err error) error {
	if m := (*malformed)(nil); errors.As(err, &m) {
		return m
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &malformed{"body", "is not JSON: it ends too early"}
	}
	return &malformed{"body", fmt.Sprintf("is not JSON, at byte %d: %s", p.dec.InputOffset(), err)}
}

func (p *parser) value(location string, depth int) (any, error) {
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'), json.Delim('['):
		if depth == maxDepth {
			return nil, &malformed{location, fmt.Sprintf("is nested deeper than %d levels", maxDepth)}
		}
	default:
		return token, nil
	}
	if token == json.Delim('{') {
		return p.object(location, depth)
	}
	return p.array(location, depth)
}

func (p *parser) object(location string, depth int) (any, error) {
	members := map[string]any{}
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, &malformed{location, "has a member whose name is not a string"}
		}
		inner := location + "." + name
		if _, twice := members[name]; twice {
			return nil, &malformed{inner, "appears twice; give it once"}
		}
		if members[name], err = p.value(inner, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := p.dec.Token()
	return members, err
}

func (p *parser) array(location string, depth int) (any, error) {
	items := []any{}
	for p.dec.More() {
		item, err := p.value(fmt.Sprintf("%s[%d]", location, len(items)), depth+1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := p.dec.Token()
	return items, err
}
