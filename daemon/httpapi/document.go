package httpapi

import (
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const (
	pathOpenAPIJSON = "/openapi.json"
	pathOpenAPIYAML = "/openapi.yaml"

	securityScheme = "token"
	typeNull       = "null"
	schemaPrefix   = "#/components/schemas/"

	// apiVersion is the version of the HTTP contract, not of the daemon.
	apiVersion = "1.0.0"
)

// Document is the OpenAPI document in YAML. It is the same for every daemon.
func Document() ([]byte, error) {
	_, document := build(Config{})
	return document.YAML()
}

// build registers all operations; with an empty Config they can be described but not called.
func build(config Config) (*server, *huma.OpenAPI) {
	s := &server{Config: config, mux: http.NewServeMux(), semantics: map[string]func(*faults, []byte){}}
	a := huma.NewAPI(humaConfig(), guarded{s.mux, s})
	aliasOptional[api.RegistryCredentials](a.OpenAPI().Components.Schemas)
	aliasOptional[api.HealthCheckConfig](a.OpenAPI().Components.Schemas)
	aliasOptional[string](a.OpenAPI().Components.Schemas)
	aliasOptional[int](a.OpenAPI().Components.Schemas)
	aliasOptional[float64](a.OpenAPI().Components.Schemas)
	a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "")

	s.registerDefinitions(a)
	s.registerInstances(a)
	s.registerLogs(a)
	s.registerMetrics(a)
	s.registerNetworks(a)
	s.registerDeployments(a)
	s.registerScaling(a)
	s.registerServices(a)
	s.registerRoutes(a)
	s.registerEvents(a)
	s.registerHealth(a)

	document := a.OpenAPI()
	// Huma registers the schemas of its own errors, which never leave this daemon.
	delete(document.Components.Schemas.Map(), "ErrorModel")
	delete(document.Components.Schemas.Map(), "ErrorDetail")
	s.checker = newChecker(document)
	illustrate(document)
	return s, document
}

func humaConfig() huma.Config {
	asJSON := huma.DefaultJSONFormat
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "wedsyncd",
				Version: apiVersion,
				Description: "Containers of definitions, rolled out into environments. Every list but that of services is paged: pass next_cursor as cursor until it is absent. " +
					"Every mutation but a heartbeat takes an Idempotency-Key, under which it is done once. Every error is a problem of RFC 9457 that names all wrong fields.",
				License: &huma.License{Name: "MPL-2.0", Identifier: "MPL-2.0"},
			},
			Servers: []*huma.Server{{URL: "http://127.0.0.1:7266", Description: "The daemon's default address."}},
			Tags: []*huma.Tag{
				{Name: "definitions", Description: "What to run: image, limits, health check, networks."},
				{Name: "instances", Description: "What runs: one container each. Deploying a definition starts instances of it."},
				{Name: "networks", Description: "Networks of one environment, which instances join by name."},
				{Name: "deployments", Description: "Changes of what runs: their progress and history, and what can be told to them."},
				{Name: "scaling", Description: "How many replicas run, who decides on it, and why."},
				{Name: "services", Description: "Where services answer: the registry of endpoints."},
				{Name: "routes", Description: "Which requests lead to which service."},
				{Name: "events", Description: "The audit trail."},
				{Name: "health", Description: "Whether the daemon works; served without a token."},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					securityScheme: {Type: "http", Scheme: "bearer", Description: "An API token, made by wedsyncd token create."},
				},
			},
			Security: []map[string][]string{{securityScheme: {}}},
		},
		Formats:       map[string]huma.Format{"application/json": asJSON, "json": asJSON},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{asProblem},
	}
}

// problemResponse refers to the description of one kind of problem, which all
// operations share.
func problemResponse(document *huma.OpenAPI, status int) *huma.Response {
	name := "Problem" + strconv.Itoa(status)
	if document.Components.Responses == nil {
		document.Components.Responses = map[string]*huma.Response{}
	}
	if document.Components.Responses[name] == nil {
		document.Components.Responses[name] = describeProblem(problemKind(status))
	}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

func describeProblem(k kind) *huma.Response {
	p := k.problem("")
	p.Instance = "/api/containers/definitions"
	p.RequestID = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a17"
	if k.status == http.StatusUnprocessableEntity {
		p = invalid([]api.FieldError{{
			Location: "body.resource_limits.cpu",
			Message:  `"1x" is not a CPU quantity; write thousandths of a core as 500m, or cores as 1 or 0.5`,
		}})
	}
	return &huma.Response{
		Description: k.title + ": " + k.detail + ".",
		Content: map[string]*huma.MediaType{problemMediaType: {
			Schema:  &huma.Schema{Ref: schemaPrefix + "Problem"},
			Example: p.Problem,
		}},
	}
}

// problemKind is the kind of problem that documents a status.
func problemKind(status int) kind {
	for _, k := range append([]kind{kindConflict, kindMalformed, kindTooLarge, kindUnsupportedMedia, kindInternal}, kinds...) {
		if k.status == status {
			return k
		}
	}
	panic("no kind of problem has the status " + http.StatusText(status))
}

// operations yields every operation of a document, by path and method.
func operations(document *huma.OpenAPI) iter.Seq[*huma.Operation] {
	return func(yield func(*huma.Operation) bool) {
		for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
			item := document.Paths[path]
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
				if op != nil && !yield(op) {
					return
				}
			}
		}
	}
}

// wholes are examples of objects whose fields do not all go together.
var wholes = map[string]any{
	"HealthCheckConfig": map[string]any{
		"type": "http", "endpoint": "/health", "port": 8080, "expected_status": []string{"200-299", "401"},
		"headers": map[string]string{"Host": "shop.example.com"}, "interval": 30, "timeout": 10, "retries": 3, "rise": 1, "start_period": 5,
	},
}

// illustrate completes the examples of the document: fields carry theirs as a
// tag, and everything that is made of fields gets one put together from them.
func illustrate(document *huma.OpenAPI) {
	schemas := document.Components.Schemas
	for name, whole := range wholes {
		schemas.Map()[name].Examples = []any{whole}
	}
	for _, name := range slices.Sorted(maps.Keys(schemas.Map())) {
		for _, property := range schemas.Map()[name].Properties {
			if len(property.Examples) == 0 {
				property.Examples = []any{example(schemas, property)}
			}
		}
	}
	for _, response := range document.Components.Responses {
		illustrateHeaders(schemas, response)
	}
	for op := range operations(document) {
		for _, p := range op.Parameters {
			p.Example = example(schemas, p.Schema)
			p.Schema.Description, p.Schema.Examples = "", nil
		}
		if op.RequestBody != nil {
			op.RequestBody.Description = op.Description
			illustrateContent(schemas, op.RequestBody.Content)
		}
		for _, response := range op.Responses {
			if response.Ref != "" {
				continue
			}
			illustrateContent(schemas, response.Content)
			if location := response.Headers["Location"]; location != nil {
				location.Schema.Examples = []any{op.Metadata[metadataLocation]}
			}
			illustrateHeaders(schemas, response)
		}
	}
}

func illustrateContent(schemas huma.Registry, content map[string]*huma.MediaType) {
	for _, media := range content {
		if media.Example == nil {
			media.Example = example(schemas, media.Schema)
		}
	}
}

func illustrateHeaders(schemas huma.Registry, response *huma.Response) {
	if response.Headers == nil {
		response.Headers = map[string]*huma.Param{}
	}
	response.Headers["X-Request-Id"] = &huma.Param{
		Description: "Finds the request in the daemon's log.",
		Schema:      &huma.Schema{Type: huma.TypeString, Format: "uuid"},
		Example:     "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a17",
	}
	for _, header := range response.Headers {
		if header.Example == nil {
			header.Description = header.Schema.Description
			header.Example = example(schemas, header.Schema)
			header.Schema.Description, header.Schema.Examples = "", nil
		}
	}
}

// example is the schema's own example, or one put together from its parts.
func example(schemas huma.Registry, s *huma.Schema) any {
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Ref != "":
		return example(schemas, schemas.SchemaFromRef(s.Ref))
	case len(s.AnyOf) > 0:
		return example(schemas, s.AnyOf[0])
	case s.Type == huma.TypeArray:
		return []any{example(schemas, s.Items)}
	case s.Type == huma.TypeObject:
		members := map[string]any{}
		for name, property := range s.Properties {
			members[name] = example(schemas, property)
		}
		return members
	default:
		return nil
	}
}

// serveDocument serves the document, made once.
func (s *server) serveDocument(document *huma.OpenAPI) {
	asJSON, err := json.Marshal(document)
	if err != nil {
		panic("marshal the API document: " + err.Error())
	}
	asYAML, err := document.YAML()
	if err != nil {
		panic("marshal the API document: " + err.Error())
	}
	serve := func(path, mediaType string, content []byte) {
		s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if x, ok := exchangeFrom(r.Context()); ok {
				x.operation = "getDocument"
			}
			w.Header().Set("Content-Type", mediaType)
			// The client is gone if this fails; there is nobody to tell.
			_, _ = w.Write(content)
		})
	}
	serve(pathOpenAPIJSON, "application/openapi+json", asJSON)
	serve(pathOpenAPIYAML, "application/openapi+yaml", asYAML)
}
