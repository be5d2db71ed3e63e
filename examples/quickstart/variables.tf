variable "image_tag" {
  description = "Version to run everywhere. Change it and apply: every replica is replaced, none of the old ones before its successor is healthy."
  type        = string
  default     = "v1"
}
