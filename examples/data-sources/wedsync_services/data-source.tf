data "wedsync_services" "staging" {
  environment = "staging"
}

output "healthy" {
  value = { for s in data.wedsync_services.staging.services : s.service_name => s.healthy_instances }
}
