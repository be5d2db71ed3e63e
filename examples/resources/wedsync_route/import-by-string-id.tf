import {
  to = wedsync_route.shop
  id = "production/shop"
}
