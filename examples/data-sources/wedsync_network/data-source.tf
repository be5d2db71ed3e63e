data "wedsync_network" "app" {
  environment  = "staging"
  network_name = "app"
}

output "subnet" {
  value = data.wedsync_network.app.subnet
}
