package api

import "time"

// Strategies of a balancer.
const (
	// RoundRobin gives each endpoint its share in turn.
	RoundRobin = "round_robin"
	// LeastRequests gives a request to the less busy of two endpoints drawn at random.
	LeastRequests = "least_requests"
)

// Route leads requests to a service of its environment: those to one of its hosts
// and below one of its path prefixes, of which the longest that fits wins.
type Route struct {
	ID              string    `json:"id" doc:"Identifier of the route." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a19" format:"uuid"`
	Name            string    `json:"name" doc:"Name, unique in its environment." example:"shop"`
	Environment     string    `json:"environment" doc:"Environment that it belongs to." example:"staging"`
	ServiceName     string    `json:"service_name" doc:"Service that gets the requests." example:"api"`
	Hosts           []string  `json:"hosts" doc:"Host names that it answers to; none stands for the service's own, SERVICE.ENVIRONMENT and the daemon's domain." example:"[\"shop.example.com\"]" nullable:"false"`
	PathPrefixes    []string  `json:"path_prefixes" doc:"Paths that it takes, with all below." example:"[\"/\"]" nullable:"false"`
	Strategy        string    `json:"strategy" doc:"How requests are shared out between endpoints." example:"round_robin" enum:"round_robin,least_requests"`
	StickyCookie    string    `json:"sticky_cookie" doc:"Cookie that keeps a client at one instance; empty for none." example:"wedding_session"`
	CanaryHeader    string    `json:"canary_header" doc:"Header by which a client chooses, while a deployment goes on, its replicas (always) or those from before (never); empty for none." example:"X-Wedding-Preview"`
	CanaryCookie    string    `json:"canary_cookie" doc:"Cookie by which a client chooses likewise; empty for none." example:"wedding_preview"`
	StripPrefix     bool      `json:"strip_prefix" doc:"Take the path prefix away before a request goes on." example:"false"`
	RequireTLS      bool      `json:"require_tls" doc:"Redirect requests that come without TLS to where they have it." example:"true"`
	MaxBodySize     string    `json:"max_body_size" doc:"Largest body of a request." example:"1Gi"`
	MaxHeaderSize   string    `json:"max_header_size" doc:"Largest head of a request." example:"64Ki"`
	ResponseTimeout int       `json:"response_timeout" doc:"Seconds that an instance may take until its answer begins." example:"60"`
	IdleTimeout     int       `json:"idle_timeout" doc:"Seconds that a request or an answer may stand still on its way." example:"300"`
	MaxRequests     int       `json:"max_requests" doc:"Requests that one instance is given at a time." example:"1024"`
	CreatedBy       string    `json:"created_by,omitempty" doc:"Principal that created it." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a10" format:"uuid"`
	CreatedAt       time.Time `json:"created_at" doc:"When it was created." example:"2026-06-06T08:30:00Z"`
	UpdatedAt       time.Time `json:"updated_at" doc:"When it was last changed." example:"2026-06-06T08:30:00Z"`
}

// CreateRouteRequest is the body of POST /api/containers/routes.
type CreateRouteRequest struct {
	Name            string   `json:"name" doc:"Name, unique in its environment; a DNS label." example:"shop" maxLength:"63"`
	Environment     string   `json:"environment" doc:"Environment that it belongs to." example:"staging" maxLength:"63"`
	ServiceName     string   `json:"service_name" doc:"Service that gets the requests; it need not run yet." example:"api" maxLength:"63"`
	Hosts           []string `json:"hosts,omitempty" doc:"Host names that it answers to, without port; each belongs to one environment. Left out: the service's own, SERVICE.ENVIRONMENT and the daemon's domain." example:"[\"shop.example.com\"]" maxItems:"64" nullable:"false"`
	PathPrefixes    []string `json:"path_prefixes,omitempty" doc:"Paths that it takes, with all below; no other route of the host may have one of them." example:"[\"/\"]" default:"[\"/\"]" maxItems:"64" nullable:"false"`
	Strategy        string   `json:"strategy,omitempty" doc:"How requests are shared out between endpoints: in turn, or to the less busy of two drawn at random." example:"round_robin" default:"round_robin" enum:"round_robin,least_requests"`
	StickyCookie    string   `json:"sticky_cookie,omitempty" doc:"Cookie that keeps a client at one instance; none when left out." example:"wedding_session" maxLength:"128"`
	CanaryHeader    string   `json:"canary_header,omitempty" doc:"Header by which a client chooses, while a deployment goes on, its replicas (always) or those from before (never); none when left out." example:"X-Wedding-Preview" maxLength:"128"`
	CanaryCookie    string   `json:"canary_cookie,omitempty" doc:"Cookie by which a client chooses likewise; none when left out." example:"wedding_preview" maxLength:"128"`
	StripPrefix     bool     `json:"strip_prefix,omitempty" doc:"Take the path prefix away before a request goes on." example:"false"`
	RequireTLS      bool     `json:"require_tls,omitempty" doc:"Redirect requests that come without TLS to where they have it." example:"true"`
	MaxBodySize     string   `json:"max_body_size,omitempty" doc:"Largest body of a request." example:"1Gi" default:"1Gi" maxLength:"32"`
	MaxHeaderSize   string   `json:"max_header_size,omitempty" doc:"Largest head of a request, 1Ki to 64Ki." example:"64Ki" default:"64Ki" maxLength:"32"`
	ResponseTimeout int      `json:"response_timeout,omitempty" doc:"Seconds that an instance may take until its answer begins." example:"60" default:"60" minimum:"1" maximum:"86400"`
	IdleTimeout     int      `json:"idle_timeout,omitempty" doc:"Seconds that a request or an answer may stand still on its way." example:"300" default:"300" minimum:"1" maximum:"86400"`
	MaxRequests     int      `json:"max_requests,omitempty" doc:"Requests that one instance is given at a time." example:"1024" default:"1024" minimum:"1" maximum:"1000000"`
}

// UpdateRouteRequest is the body of PUT /api/containers/routes/{route_id}. A field
// that is left out stays as it is. Name and environment are a route's identity.
type UpdateRouteRequest struct {
	ServiceName     *string   `json:"service_name,omitempty" doc:"Service that gets the requests." example:"api" maxLength:"63"`
	Hosts           *[]string `json:"hosts,omitempty" doc:"Host names that it answers to; an empty list stands for the service's own." example:"[\"shop.example.com\"]" maxItems:"64"`
	PathPrefixes    *[]string `json:"path_prefixes,omitempty" doc:"Paths that it takes, with all below." example:"[\"/shop\"]" maxItems:"64"`
	Strategy        *string   `json:"strategy,omitempty" doc:"How requests are shared out between endpoints." example:"least_requests" enum:"round_robin,least_requests"`
	StickyCookie    *string   `json:"sticky_cookie,omitempty" doc:"Cookie that keeps a client at one instance; empty for none." example:"wedding_session" maxLength:"128"`
	CanaryHeader    *string   `json:"canary_header,omitempty" doc:"Header by which a client chooses between the replicas of a deployment in progress and those from before; empty for none." example:"X-Wedding-Preview" maxLength:"128"`
	CanaryCookie    *string   `json:"canary_cookie,omitempty" doc:"Cookie by which a client chooses likewise; empty for none." example:"wedding_preview" maxLength:"128"`
	StripPrefix     *bool     `json:"strip_prefix,omitempty" doc:"Take the path prefix away before a request goes on." example:"true"`
	RequireTLS      *bool     `json:"require_tls,omitempty" doc:"Redirect requests that come without TLS to where they have it." example:"true"`
	MaxBodySize     *string   `json:"max_body_size,omitempty" doc:"Largest body of a request." example:"64Mi" maxLength:"32"`
	MaxHeaderSize   *string   `json:"max_header_size,omitempty" doc:"Largest head of a request, 1Ki to 64Ki." example:"16Ki" maxLength:"32"`
	ResponseTimeout *int      `json:"response_timeout,omitempty" doc:"Seconds that an instance may take until its answer begins." example:"30" minimum:"1" maximum:"86400"`
	IdleTimeout     *int      `json:"idle_timeout,omitempty" doc:"Seconds that a request or an answer may stand still on its way." example:"120" minimum:"1" maximum:"86400"`
	MaxRequests     *int      `json:"max_requests,omitempty" doc:"Requests that one instance is given at a time." example:"256" minimum:"1" maximum:"1000000"`
}

// RouteList is one page of routes, by name.
type RouteList struct {
	Routes     []Route `json:"routes" doc:"One page of routes, by name." nullable:"false"`
	TotalCount int     `json:"total_count" doc:"Routes that match, over all pages." example:"2"`
	NextCursor string  `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoic2hvcCJ9"`
}

// ListRoutesOptions select and page routes.
type ListRoutesOptions struct {
	Page
	// Environment selects the routes of one environment.
	Environment string
	// ServiceName selects the routes to this service.
	ServiceName string
	// Name selects routes of this name.
	Name string
}
