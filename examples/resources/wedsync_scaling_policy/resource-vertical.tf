# Vertical: each replica may use as much memory as the replicas have needed lately.
# It goes together with a horizontal policy of another metric.
resource "wedsync_scaling_policy" "memory" {
  definition_id = wedsync_container_definition.api.id
  environment   = "production"
  policy_name   = "memory"

  scaling_type   = "vertical"
  trigger_metric = "memory"
  min_limit      = "256Mi"
  max_limit      = "2Gi"
}
