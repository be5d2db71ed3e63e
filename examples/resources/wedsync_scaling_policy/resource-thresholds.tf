# Thresholds: two replicas more while answers are slow, one less while they are fast.
resource "wedsync_scaling_policy" "latency" {
  definition_id = wedsync_container_definition.api.id
  environment   = "production"
  policy_name   = "latency"

  scaling_type          = "horizontal"
  trigger_metric        = "response_time"
  scale_up_threshold    = 400
  scale_down_threshold  = 100
  scale_up_adjustment   = 2
  scale_down_adjustment = 1
  cooldown_period       = 120
}
