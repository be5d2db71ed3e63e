# Every definition of one service.
data "wedsync_container_definitions" "of_api" {
  service_name = "api"
}

output "tags" {
  value = { for d in data.wedsync_container_definitions.of_api.definitions : d.name => d.image_tag }
}
