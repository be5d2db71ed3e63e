data "wedsync_service" "api" {
  service_name = "api"
  environment  = "staging"
  is_healthy   = true
}

output "endpoints" {
  value = data.wedsync_service.api.instances[*].endpoint_url
}
