# Two services, api and web, in two environments: staging runs one replica of
# each, production two. "make demo" applies this on your machine.

terraform {
  required_version = ">= 1.5"

  required_providers {
    wedsync = {
      source = "wedsync/wedsync"
    }
  }
}

# Where wedsyncd is, and the token, come from WEDSYNC_ENDPOINT and WEDSYNC_TOKEN.
provider "wedsync" {}

locals {
  # Replicas of every service, by environment.
  environments = {
    staging    = 1
    production = 2
  }

  image = "wedsync/demo-app"

  # Short waits, to see something happen. The defaults, 10 and 30 seconds, suit
  # services that people use.
  rollout = {
    min_healthy_time = 2 # a new replica must stay healthy for that long before it counts
    drain_time       = 5 # an old one ends its requests in that time
  }
}

# A network belongs to one environment. Both are called "app", so that one
# definition fits everywhere, yet staging's containers never reach production's.
resource "wedsync_network" "app" {
  for_each = local.environments

  network_name = "app"
  network_type = "external" # ports can be published; "internal" has no way in or out
  environment  = each.key
}

resource "wedsync_container_definition" "api" {
  name         = "wedding-api"
  service_name = "api"
  image_name   = local.image
  image_tag    = var.image_tag

  environment_config = {
    GREETING = "welcome"
  }

  resource_limits = {
    cpu    = "250m"
    memory = "64Mi"
  }

  health_check_config = {
    endpoint = "/health"
    interval = 5
    timeout  = 2
    retries  = 3
  }

  scaling_config = {
    min_replicas = 1
    max_replicas = 5
  }

  network_config = {
    ports             = [8080]
    external_networks = ["app"]
    publish_ports     = true # on 127.0.0.1, so that curl reaches each replica
  }

  runtime_config = {
    user                      = "10001:10001"
    read_only_root_filesystem = true
  }
}

resource "wedsync_container_definition" "web" {
  name         = "wedding-web"
  service_name = "web"
  image_name   = local.image
  image_tag    = var.image_tag

  environment_config = {
    API_URL = "http://api:8080" # a service's name reaches it on its networks
  }

  resource_limits = {
    cpu    = "250m"
    memory = "64Mi"
  }

  health_check_config = {
    endpoint = "/health"
    interval = 5
    timeout  = 2
    retries  = 3
  }

  scaling_config = {
    min_replicas = 1
    max_replicas = 5
  }

  network_config = {
    ports             = [8080]
    external_networks = ["app"]
    publish_ports     = true
  }
}

# Deploying a revision of a definition into an environment. A changed definition
# gets a new revision, and the next apply rolls it out everywhere.
resource "wedsync_deployment" "api" {
  for_each = local.environments

  definition_id       = wedsync_container_definition.api.id
  definition_revision = wedsync_container_definition.api.revision
  environment         = each.key
  replicas            = each.value
  rollout_config      = local.rollout

  depends_on = [wedsync_network.app]
}

resource "wedsync_deployment" "web" {
  for_each = local.environments

  definition_id       = wedsync_container_definition.web.id
  definition_revision = wedsync_container_definition.web.revision
  environment         = each.key
  replicas            = each.value
  rollout_config      = local.rollout

  depends_on = [wedsync_network.app]
}
