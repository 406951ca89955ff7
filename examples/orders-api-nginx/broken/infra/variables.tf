variable "name" {
  type    = string
  default = "orders"
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}

variable "registry" {
  description = "Address of the image registry, without a slash at the end."
  type        = string
}

variable "image_tag" {
  type    = string
  default = "latest"
}

variable "desired_count" {
  type    = number
  default = 2
}

variable "alb_idle_timeout" {
  description = "Seconds without a byte after which the balancer closes a connection."
  type        = number
  default     = 60
}

variable "stop_timeout" {
  type    = number
  default = 20
}
