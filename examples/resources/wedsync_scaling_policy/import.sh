# By definition, environment and name, or by identifier.
terraform import wedsync_scaling_policy.load wedding-api/production/load
terraform import wedsync_scaling_policy.load 0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21
