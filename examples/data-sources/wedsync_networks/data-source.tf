data "wedsync_networks" "staging" {
  environment = "staging"
}

output "network_names" {
  value = data.wedsync_networks.staging.networks[*].network_name
}
