data "wedsync_route" "shop" {
  environment = "production"
  name        = "shop"
}

output "hosts" {
  value = data.wedsync_route.shop.hosts
}
