data "wedsync_container_definition" "api" {
  name = "wedding-api"
}

output "api_revision" {
  value = data.wedsync_container_definition.api.revision
}
