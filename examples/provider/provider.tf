terraform {
  required_providers {
    wedsync = {
      source = "wedsync/wedsync"
    }
  }
}

# Both arguments may be left out: WEDSYNC_ENDPOINT and WEDSYNC_TOKEN take their place.
provider "wedsync" {
  endpoint = "http://127.0.0.1:7266"
  token    = var.wedsync_token
}

variable "wedsync_token" {
  description = "API token of wedsyncd."
  type        = string
  sensitive   = true
}
