resource "wedsync_network" "app" {
  network_name = "app"
  network_type = "internal"
  environment  = "staging"

  subnet  = "10.20.0.0/24"
  gateway = "10.20.0.1"

  dns_config = {
    search = ["weddings.internal"]
  }
}
