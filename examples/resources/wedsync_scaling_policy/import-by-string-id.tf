import {
  to = wedsync_scaling_policy.load
  id = "wedding-api/production/load"
}
