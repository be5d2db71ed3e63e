# By the definition's name and the environment, or by its identifier and the environment.
terraform import wedsync_deployment.api_staging wedding-api/staging
terraform import wedsync_deployment.api_staging 0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/staging
