import {
  to = wedsync_deployment.api_staging
  id = "wedding-api/staging"
}
