import {
  to = wedsync_network.app
  identity = {
    environment  = "staging"
    network_name = "app"
  }
}
