import {
  to = wedsync_container_definition.api
  identity = {
    id = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"
  }
}
