# cloudposse/ecs-web-app/aws: a container, its target group with rules, and its service, from the modules beside.

variable "enabled" { default = null }
variable "context" { default = {} }
variable "namespace" { default = null }
variable "tenant" { default = null }
variable "environment" { default = null }
variable "stage" { default = null }
variable "name" { default = null }
variable "delimiter" { default = null }
variable "attributes" { default = [] }
variable "label_order" { default = null }
variable "container_image" { default = "cloudposse/default-backend" }
variable "use_ecr_image" { default = false }
variable "container_definition" { default = "" }
variable "container_environment" { default = null }
variable "map_container_environment" { default = null }
variable "container_port" { default = 80 }
variable "port_mappings" { default = [{ containerPort = 80, hostPort = 80, protocol = "tcp" }] }
variable "container_stop_timeout" { default = 30 }
variable "command" { default = null }
variable "entrypoint" { default = null }
variable "init_containers" { default = [] }
variable "alb_container_name" { default = null }
variable "desired_count" { default = 1 }
variable "launch_type" { default = "FARGATE" }
variable "capacity_provider_strategies" { default = [] }
variable "health_check_grace_period_seconds" { default = 0 }
variable "deployment_minimum_healthy_percent" { default = 100 }
variable "deployment_maximum_percent" { default = 200 }
variable "ignore_changes_task_definition" { default = true }
variable "alb_ingress_enable_default_target_group" { default = true }
variable "alb_ingress_target_group_arn" { default = "" }
variable "alb_ingress_healthcheck_path" { default = "/" }
variable "alb_ingress_health_check_timeout" { default = 10 }
variable "alb_ingress_health_check_interval" { default = 15 }
variable "alb_ingress_health_check_healthy_threshold" { default = 2 }
variable "alb_ingress_health_check_unhealthy_threshold" { default = 2 }
variable "alb_ingress_health_check_matcher" { default = "200-399" }
variable "alb_ingress_unauthenticated_listener_arns" { default = [] }
variable "alb_ingress_unauthenticated_paths" { default = [] }
variable "alb_ingress_unauthenticated_hosts" { default = [] }
variable "alb_ingress_listener_unauthenticated_priority" { default = 1000 }
variable "alb_ingress_authenticated_listener_arns" { default = [] }
variable "alb_ingress_authenticated_paths" { default = [] }
variable "alb_ingress_authenticated_hosts" { default = [] }
variable "alb_ingress_listener_authenticated_priority" { default = 300 }

module "this" {
  source      = "keepalign:cloudposse_label"
  enabled     = var.enabled
  context     = var.context
  namespace   = var.namespace
  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  name        = var.name
  delimiter   = var.delimiter
  attributes  = var.attributes
  label_order = var.label_order
}

module "alb_ingress" {
  source                           = "keepalign:cloudposse_alb_ingress"
  context                          = module.this.context
  port                             = var.container_port
  default_target_group_enabled     = var.alb_ingress_enable_default_target_group
  target_group_arn                 = var.alb_ingress_target_group_arn
  health_check_path                = var.alb_ingress_healthcheck_path
  health_check_timeout             = var.alb_ingress_health_check_timeout
  health_check_interval            = var.alb_ingress_health_check_interval
  health_check_healthy_threshold   = var.alb_ingress_health_check_healthy_threshold
  health_check_unhealthy_threshold = var.alb_ingress_health_check_unhealthy_threshold
  health_check_matcher             = var.alb_ingress_health_check_matcher
  unauthenticated_listener_arns    = var.alb_ingress_unauthenticated_listener_arns
  unauthenticated_paths            = var.alb_ingress_unauthenticated_paths
  unauthenticated_hosts            = var.alb_ingress_unauthenticated_hosts
  unauthenticated_priority         = var.alb_ingress_listener_unauthenticated_priority
  authenticated_listener_arns      = var.alb_ingress_authenticated_listener_arns
  authenticated_paths              = var.alb_ingress_authenticated_paths
  authenticated_hosts              = var.alb_ingress_authenticated_hosts
  authenticated_priority           = var.alb_ingress_listener_authenticated_priority
}

module "container_definition" {
  source          = "keepalign:cloudposse_ecs_container_definition"
  container_name  = module.this.id
  container_image = var.use_ecr_image ? module.ecr.repository_url : var.container_image
  command         = var.command
  entrypoint      = var.entrypoint
  environment     = var.container_environment
  map_environment = var.map_container_environment
  port_mappings   = var.port_mappings
  stop_timeout    = var.container_stop_timeout
}

locals {
  own = var.container_definition == "" ? module.container_definition.json_map_object : jsondecode(var.container_definition)
}

module "ecs_alb_service_task" {
  source                             = "keepalign:cloudposse_ecs_alb_service_task"
  context                            = module.this.context
  container_definition_json          = jsonencode(concat([local.own], [for one in var.init_containers : jsondecode(one.container_definition)]))
  desired_count                      = var.desired_count
  launch_type                        = var.launch_type
  capacity_provider_strategies       = var.capacity_provider_strategies
  health_check_grace_period_seconds  = var.health_check_grace_period_seconds
  deployment_minimum_healthy_percent = var.deployment_minimum_healthy_percent
  deployment_maximum_percent         = var.deployment_maximum_percent
  ignore_changes_task_definition     = var.ignore_changes_task_definition
  ecs_load_balancers = [{
    container_name   = coalesce(var.alb_container_name, module.this.id)
    container_port   = var.container_port
    target_group_arn = module.alb_ingress.target_group_arn
  }]
}

output "alb_ingress_target_group_arn" { value = module.alb_ingress.target_group_arn }
output "ecs_service_name" { value = module.ecs_alb_service_task.service_name }
output "ecs_task_definition_family" { value = module.ecs_alb_service_task.task_definition_family }
