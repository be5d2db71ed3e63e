output "running" {
  description = "What each environment runs: the revision of each service's definition and the digest of its image."
  value = {
    for environment in keys(local.environments) : environment => {
      api = {
        revision     = wedsync_deployment.api[environment].definition_revision
        image_digest = wedsync_deployment.api[environment].image_digest
      }
      web = {
        revision     = wedsync_deployment.web[environment].definition_revision
        image_digest = wedsync_deployment.web[environment].image_digest
      }
    }
  }
}
