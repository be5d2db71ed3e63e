# Target tracking: as many replicas as keep the processors at 60 % on average. The
# deployment leaves replicas out, since the policy owns their number.
resource "wedsync_scaling_policy" "load" {
  definition_id = wedsync_container_definition.api.id
  environment   = "production"
  policy_name   = "load"

  scaling_type   = "horizontal"
  trigger_metric = "cpu"
  target_value   = 60
  min_replicas   = 2
  max_replicas   = 12
  max_scale_down = 1 # at most one replica less in each scale_period of a minute
}

resource "wedsync_deployment" "api" {
  definition_id       = wedsync_container_definition.api.id
  definition_revision = wedsync_container_definition.api.revision
  environment         = "production"

  depends_on = [wedsync_scaling_policy.load]
}
