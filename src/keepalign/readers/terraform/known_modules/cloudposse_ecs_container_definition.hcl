# cloudposse/ecs-container-definition/aws: one container as JSON.

variable "container_name" { default = null }
variable "container_image" { default = null }
variable "command" { default = null }
variable "entrypoint" { default = null }
variable "environment" { default = null }
variable "map_environment" { default = null }
variable "secrets" { default = null }
variable "map_secrets" { default = null }
variable "port_mappings" { default = null }
variable "container_depends_on" { default = null }
variable "stop_timeout" { default = null }
variable "container_definition" { default = {} }

locals {
  definition = {
    name       = var.container_name
    image      = var.container_image
    command    = var.command
    entryPoint = var.entrypoint
    environment = var.map_environment != null ? [
      for name, value in var.map_environment : { name = name, value = value }
    ] : var.environment
    secrets = var.map_secrets != null ? [
      for name, from in var.map_secrets : { name = name, valueFrom = from }
    ] : var.secrets
    portMappings = var.port_mappings
    dependsOn    = var.container_depends_on
    stopTimeout  = var.stop_timeout
  }
  # Its container_definition wins, but for nulls.
  final = merge(local.definition, { for key, value in var.container_definition : key => value if value != null })
}

output "json_map_object" { value = local.final }
output "json_map_encoded" { value = jsonencode(local.final) }
output "json_map_encoded_list" { value = jsonencode([local.final]) }
output "sensitive_json_map_object" { value = local.final }
output "sensitive_json_map_encoded" { value = jsonencode(local.final) }
output "sensitive_json_map_encoded_list" { value = jsonencode([local.final]) }

# Before version 0.50.
output "json" { value = jsonencode([local.final]) }
output "json_map" { value = jsonencode(local.final) }
