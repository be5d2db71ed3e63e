resource "wedsync_route" "shop" {
  name         = "shop"
  environment  = "production"
  service_name = "api"

  hosts         = ["shop.example.com", "www.shop.example.com"]
  path_prefixes = ["/api", "/checkout"]

  sticky_cookie = "wedding_session"
  canary_header = "X-Wedding-Preview"

  max_body_size    = "64Mi"
  response_timeout = 30
}
