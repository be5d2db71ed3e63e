# rolling_update: the replicas are replaced a few at a time.
resource "wedsync_deployment" "api_staging" {
  definition_id = wedsync_container_definition.api.id
  environment   = "staging"

  # A change of the definition raises its revision and is rolled out in the same apply.
  definition_revision = wedsync_container_definition.api.revision

  replicas         = 4
  deployment_notes = "ticket WS-266"

  deployment_strategy = "rolling_update"
  rollout_config = {
    max_surge        = 2 # or "50%"
    min_healthy_time = 10
    healthy_deadline = 120
    drain_time       = 15
  }

  timeouts = {
    create = "5m"
    update = "5m"
  }

  # The network must be there before the containers that join it.
  depends_on = [wedsync_network.app]
}
