# What the autoscaler did on the day of the wedding, and why.
data "wedsync_scaling_decisions" "saturday" {
  definition_id = data.wedsync_container_definition.api.id
  environment   = "production"
  changes_only  = true
  from          = "2026-06-06T00:00:00Z"
  to            = "2026-06-07T00:00:00Z"
}

output "scaling" {
  value = [for d in data.wedsync_scaling_decisions.saturday.decisions : "${d.decided_at} ${d.current_value} to ${d.limited_value} ${d.unit}: ${d.reason}"]
}
