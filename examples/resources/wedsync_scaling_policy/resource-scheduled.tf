# Scheduled: weddings are on Saturdays, so that six replicas are there before the
# guests are.
resource "wedsync_scaling_policy" "saturdays" {
  definition_id = wedsync_container_definition.api.id
  environment   = "production"
  policy_name   = "saturdays"

  scaling_type   = "scheduled"
  schedule_start = "0 8 * * 6"
  schedule_end   = "0 2 * * 7"
  time_zone      = "Europe/London"
  min_replicas   = 6
}

# In the season there are never fewer than three.
resource "wedsync_scaling_policy" "season" {
  definition_id = wedsync_container_definition.api.id
  environment   = "production"
  policy_name   = "season"

  scaling_type   = "scheduled"
  schedule_start = "0 0 1 5 *"
  schedule_end   = "0 0 1 10 *"
  time_zone      = "Europe/London"
  min_replicas   = 3
}
