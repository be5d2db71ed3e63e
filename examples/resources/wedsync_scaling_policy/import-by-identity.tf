import {
  to = wedsync_scaling_policy.load
  identity = {
    definition_id = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"
    environment   = "production"
    policy_name   = "load"
  }
}
