# By name, or by identifier.
terraform import wedsync_container_definition.api wedding-api
terraform import wedsync_container_definition.api 0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11
