import {
  to = wedsync_container_definition.api
  id = "wedding-api"
}
