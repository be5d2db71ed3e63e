import {
  to = wedsync_network.app
  id = "staging/app"
}
