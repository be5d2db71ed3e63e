resource "wedsync_container_definition" "api" {
  name         = "wedding-api"
  service_name = "api"

  image_name   = "wedsync/api"
  image_tag    = "v1.4.2"
  registry_url = "registry.example.com"
  registry_credentials = {
    username = "deploy"
    password = var.registry_password
  }

  environment_config = {
    LOG_LEVEL = "info"
  }

  resource_limits = {
    cpu    = "500m"
    memory = "512Mi"
  }

  health_check_config = {
    endpoint        = "/health"
    expected_status = ["200-299"]
    interval        = 10
    timeout         = 2
    rise            = 2
    start_period    = 5
  }

  scaling_config = {
    min_replicas = 2
    max_replicas = 10
  }

  network_config = {
    ports             = [8080]
    internal_networks = ["app"]
  }

  volume_mounts = [
    {
      source = "api-data"
      target = "/var/lib/app"
    },
  ]

  runtime_config = {
    user                      = "10001:10001"
    read_only_root_filesystem = true
    tmpfs                     = ["/tmp"]
  }
}

# A worker that listens nowhere is checked from inside.
resource "wedsync_container_definition" "worker" {
  name            = "wedding-worker"
  service_name    = "worker"
  image_name      = "wedsync/worker"
  resource_limits = { cpu = "250m", memory = "256Mi" }
  scaling_config  = { min_replicas = 1, max_replicas = 4 }

  health_check_config = {
    type     = "command"
    command  = ["/worker", "check"]
    interval = 15
    timeout  = 5
  }
}

variable "registry_password" {
  type      = string
  sensitive = true
}
