# What every environment runs now.
data "wedsync_deployments" "live" {
  live = true
}

output "live" {
  value = {
    for d in data.wedsync_deployments.live.deployments :
    "${d.definition_name}/${d.environment}" => d.image_tag
  }
}
