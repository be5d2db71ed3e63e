import {
  to = wedsync_route.shop
  identity = {
    environment = "production"
    name        = "shop"
  }
}
