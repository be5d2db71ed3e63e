# What must not run twice at the same time stops before its successor starts.
resource "wedsync_deployment" "worker_staging" {
  definition_id       = wedsync_container_definition.worker.id
  definition_revision = wedsync_container_definition.worker.revision
  environment         = "staging"

  rollout_config = {
    start_first = false # one at a time, as max_unavailable is 1 then
  }
}
