resource "wedsync_deployment" "api_staging" {
  definition_id = wedsync_container_definition.api.id
  environment   = "staging"

  # A change of the definition raises its revision and is rolled out in the same apply.
  definition_revision = wedsync_container_definition.api.revision

  replicas         = 2
  deployment_notes = "ticket WS-266"

  timeouts = {
    create = "5m"
    update = "5m"
  }

  # The network must be there before the containers that join it.
  depends_on = [wedsync_network.app]
}
