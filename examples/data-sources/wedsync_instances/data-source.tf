data "wedsync_instances" "api" {
  service_name = "api"
  environment  = "staging"
  status       = "running"
}

output "addresses" {
  value = data.wedsync_instances.api.instances[*].ip_address
}
