data "wedsync_scaling_policy" "load" {
  definition_id = data.wedsync_container_definition.api.id
  environment   = "production"
  policy_name   = "load"
}
