data "wedsync_routes" "api" {
  environment  = "production"
  service_name = "api"
}

output "hosts" {
  value = distinct(flatten([for r in data.wedsync_routes.api.routes : tolist(r.hosts)]))
}
