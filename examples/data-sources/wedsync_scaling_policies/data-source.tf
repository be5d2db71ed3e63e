data "wedsync_scaling_policies" "production" {
  environment = "production"
}

output "disabled" {
  value = [for p in data.wedsync_scaling_policies.production.policies : "${p.definition_name}/${p.policy_name}" if !p.is_enabled]
}
