# canary: 5 % of the requests for five minutes, 25 % for ten, then all of them. An
# interrupted apply, as by Ctrl-C, brings the old version back.
resource "wedsync_deployment" "web_production" {
  definition_id       = wedsync_container_definition.web.id
  definition_revision = wedsync_container_definition.web.revision
  environment         = "production"
  replicas            = 8

  deployment_strategy = "canary"
  rollout_config = {
    canary_steps = [
      { weight = 5, pause = 300 },
      { weight = 25, pause = 600 },
    ]
  }
  abort_on_interrupt = true

  timeouts = {
    update = "30m"
  }
}
