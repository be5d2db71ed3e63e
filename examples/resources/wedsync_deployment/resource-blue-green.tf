# blue_green: a whole new set proves itself beside the old one, then takes all
# requests at once. The old set stays warm for two minutes, to come back at once.
resource "wedsync_deployment" "api_production" {
  definition_id       = wedsync_container_definition.api.id
  definition_revision = wedsync_container_definition.api.revision
  environment         = "production"
  replicas            = 4

  deployment_strategy = "blue_green"
  rollout_config = {
    min_healthy_time = 30
    keep_warm_time   = 120
  }
}
