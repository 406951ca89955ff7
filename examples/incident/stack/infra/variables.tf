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
