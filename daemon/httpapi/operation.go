package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// operation is what the document says of an operation beside its types.
type operation struct {
	id, method, path string
	tag              string
	summary          string
	description      string
	status           int    // of success
	success          string // what success means
	location         string // example of the Location header, if the answer has one
	stream           string // example of the answer, if it is a stream of events
	// problems are the statuses that only some operations answer with; those of
	// every operation are added.
	problems []int
}

// metadataLocation keeps the example of an operation's Location header.
const metadataLocation = "location"

// Output types of operations.
type (
	// Answer is a body.
	Answer[T any] struct {
		Body T
	}
	// Located is a body with the path of what it is about.
	Located[T any] struct {
		Location string `header:"Location" doc:"Path of the new object."`
		Body     T
	}
)

// Input types that operations have in common.
type (
	// PageParams are the parameters of every list.
	PageParams struct {
		Limit  int    `query:"limit" doc:"Most rows to return." example:"100" default:"100" minimum:"1" maximum:"1000"`
		Cursor string `query:"cursor" doc:"Continues a list: next_cursor of the page before." example:"eyJrIjoid2VkZGluZy1hcGkifQ" maxLength:"1024"`
	}
	// MutationParams are the parameters of every operation that changes something.
	MutationParams struct {
		IdempotencyKey string `header:"Idempotency-Key" doc:"Makes the request safe to repeat: the same key from the same principal does the work once." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a18" minLength:"1" maxLength:"255" pattern:"^[!-~]+$" patternDescription:"a key; use 1 to 255 visible ASCII characters without spaces"`
	}
	// DefinitionParams name a definition.
	DefinitionParams struct {
		DefinitionID string `path:"definition_id" doc:"Identifier of the definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	}
	// InstanceParams name an instance.
	InstanceParams struct {
		InstanceID string `path:"instance_id" doc:"Identifier of the instance." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	}
	// NetworkParams name a network.
	NetworkParams struct {
		NetworkID string `path:"network_id" doc:"Identifier of the network." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a12" format:"uuid"`
	}
	// RouteParams name a route.
	RouteParams struct {
		RouteID string `path:"route_id" doc:"Identifier of the route." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a19" format:"uuid"`
	}
	// ServiceParams name a service.
	ServiceParams struct {
		ServiceName string `path:"service_name" doc:"Name of the service." example:"api" pattern:"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" patternDescription:"the name of a service; use a DNS label such as api"`
	}
	// EndpointParams name an external endpoint.
	EndpointParams struct {
		EndpointID string `path:"endpoint_id" doc:"Identifier of the endpoint: instance_id of the answer that registered it." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a20" format:"uuid"`
	}
	// ScalingPolicyParams name a scaling policy.
	ScalingPolicyParams struct {
		PolicyID string `path:"policy_id" doc:"Identifier of the policy." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21" format:"uuid"`
	}
	// DeploymentParams name a deployment.
	DeploymentParams struct {
		DeploymentID string `path:"deployment_id" doc:"Identifier of the deployment." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	}
)

// register adds an operation to the API and to its document.
func register[I, O any](s *server, a huma.API, o operation, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID:        o.id,
		Method:             o.method,
		Path:               o.path,
		Tags:               []string{o.tag},
		Summary:            o.summary,
		Description:        o.description,
		DefaultStatus:      o.status,
		Responses:          map[string]*huma.Response{},
		SkipValidateParams: true,
		SkipValidateBody:   true,
		Metadata:           map[string]any{metadataLocation: o.location},
		MaxBodyBytes:       maxBody + 1,
		BodyReadTimeout:    -1,
		Security:           []map[string][]string{{securityScheme: {}}},
	}
	if _, public := publicOperations[o.id]; public {
		op.Security = []map[string][]string{}
	}
	success := &huma.Response{Description: o.success}
	if o.stream != "" {
		success.Content = map[string]*huma.MediaType{eventMediaType: {Schema: &huma.Schema{Type: huma.TypeString}, Example: o.stream}}
	}
	op.Responses[strconv.Itoa(o.status)] = success
	for _, status := range o.allProblems() {
		op.Responses[strconv.Itoa(status)] = problemResponse(a.OpenAPI(), status)
	}
	huma.Register(a, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.problemFor(ctx, err)
		}
		return out, nil
	})
}

// allProblems are the statuses of the problems that the operation may answer with.
func (o operation) allProblems() []int {
	set := map[int]bool{http.StatusInternalServerError: true, http.StatusServiceUnavailable: true}
	if _, public := publicOperations[o.id]; !public {
		for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
			http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity} {
			set[status] = true
		}
	}
	for _, status := range o.problems {
		set[status] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// checkBody adds rules beyond the schema to an operation. They see the body as
// far as it could be decoded: what could not has its fault already.
func checkBody[T any](s *server, id string, check func(*faults, T)) {
	s.semantics[id] = func(f *faults, body []byte) {
		var v T
		if err := json.Unmarshal(body, &v); err != nil && len(f.list) == 0 {
			f.add("body", "cannot be read: %s", err)
			return
		}
		check(f, v)
	}
}

// newChecker compiles the patterns of all parameters and schemas of the document.
func newChecker(document *huma.OpenAPI) *checker {
	c := &checker{registry: document.Components.Schemas, patterns: map[string]*regexp.Regexp{}}
	add := func(s *huma.Schema) {
		if s != nil && s.Pattern != "" {
			c.patterns[s.Pattern] = regexp.MustCompile(s.Pattern)
		}
	}
	for _, s := range document.Components.Schemas.Map() {
		for _, property := range s.Properties {
			add(property)
		}
	}
	for op := range operations(document) {
		for _, p := range op.Parameters {
			add(p.Schema)
		}
	}
	return c
}

// nullable is the schema of an api.Optional: the value or null.
type nullable[T any] struct{}

// Schema makes it a huma.SchemaProvider. A scalar may be null itself, so that the
// field's bounds are its own.
func (nullable[T]) Schema(r huma.Registry) *huma.Schema {
	s := r.Schema(reflect.TypeFor[T](), true, "")
	if s.Ref == "" {
		s.Nullable = true
		return s
	}
	return &huma.Schema{AnyOf: []*huma.Schema{s, {Type: typeNull}}}
}

func aliasOptional[T any](r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[api.Optional[T]](), reflect.TypeFor[nullable[T]]())
}
