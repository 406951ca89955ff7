# terraform-aws-modules/ecs/aws//modules/service, version 5: keys of containers in snake_case.

variable "create" { default = true }
variable "create_service" { default = true }
variable "create_task_definition" { default = true }
variable "task_definition_arn" { default = null }
variable "ignore_task_definition_changes" { default = false }
variable "name" { default = null }
variable "family" { default = null }
variable "launch_type" { default = "FARGATE" }
variable "scheduling_strategy" { default = "REPLICA" }
variable "desired_count" { default = 1 }
variable "deployment_minimum_healthy_percent" { default = 66 }
variable "deployment_maximum_percent" { default = 200 }
variable "health_check_grace_period_seconds" { default = null }
variable "capacity_provider_strategy" { default = {} }
variable "load_balancer" { default = {} }
variable "container_definitions" { default = {} }
variable "container_definition_defaults" { default = {} }

locals {
  strategy = coalesce(var.capacity_provider_strategy, {})
  targets  = coalesce(var.load_balancer, {})
  runs     = var.create && var.create_service
  replica  = var.scheduling_strategy != "DAEMON"
  # The first that has a key decides, null included: the container, container_definition_defaults, the module.
  defaults = coalesce(var.container_definition_defaults, {})
  containers = [for key, one in var.container_definitions : {
    name         = keepalign::given(one, "name", key)
    image        = keepalign::given(one, "image", keepalign::given(local.defaults, "image", null))
    command      = keepalign::given(one, "command", keepalign::given(local.defaults, "command", null))
    entryPoint   = keepalign::given(one, "entrypoint", keepalign::given(local.defaults, "entrypoint", null))
    environment  = keepalign::given(one, "environment", keepalign::given(local.defaults, "environment", []))
    secrets      = keepalign::given(one, "secrets", keepalign::given(local.defaults, "secrets", []))
    dependsOn    = keepalign::given(one, "dependencies", keepalign::given(local.defaults, "dependencies", []))
    portMappings = keepalign::given(one, "port_mappings", keepalign::given(local.defaults, "port_mappings", []))
    stopTimeout  = keepalign::given(one, "stop_timeout", keepalign::given(local.defaults, "stop_timeout", 120))
  } if var.create_task_definition && keepalign::given(one, "create", true)]
}

resource "aws_ecs_task_definition" "this" {
  count                 = var.create && var.create_task_definition ? 1 : 0
  family                = coalesce(var.family, var.name)
  container_definitions = jsonencode(local.containers)
}

resource "aws_ecs_service" "this" {
  count                              = local.runs && !var.ignore_task_definition_changes ? 1 : 0
  name                               = var.name
  task_definition                    = var.create_task_definition ? aws_ecs_task_definition.this[0].arn : var.task_definition_arn
  desired_count                      = local.replica ? var.desired_count : null
  deployment_minimum_healthy_percent = local.replica ? var.deployment_minimum_healthy_percent : null
  deployment_maximum_percent         = local.replica ? var.deployment_maximum_percent : null
  health_check_grace_period_seconds  = var.health_check_grace_period_seconds
  launch_type                        = length(local.strategy) > 0 ? null : var.launch_type

  dynamic "capacity_provider_strategy" {
    for_each = local.strategy
    content {
      capacity_provider = capacity_provider_strategy.value.capacity_provider
      weight            = keepalign::given(capacity_provider_strategy.value, "weight", null)
      base              = keepalign::given(capacity_provider_strategy.value, "base", null)
    }
  }
  dynamic "load_balancer" {
    for_each = local.targets
    content {
      container_name   = load_balancer.value.container_name
      container_port   = load_balancer.value.container_port
      elb_name         = keepalign::given(load_balancer.value, "elb_name", null)
      target_group_arn = keepalign::given(load_balancer.value, "target_group_arn", null)
    }
  }
}

resource "aws_ecs_service" "ignore_task_definition" {
  count                              = local.runs && var.ignore_task_definition_changes ? 1 : 0
  name                               = var.name
  task_definition                    = var.create_task_definition ? aws_ecs_task_definition.this[0].arn : var.task_definition_arn
  desired_count                      = local.replica ? var.desired_count : null
  deployment_minimum_healthy_percent = local.replica ? var.deployment_minimum_healthy_percent : null
  deployment_maximum_percent         = local.replica ? var.deployment_maximum_percent : null
  health_check_grace_period_seconds  = var.health_check_grace_period_seconds
  launch_type                        = length(local.strategy) > 0 ? null : var.launch_type

  dynamic "capacity_provider_strategy" {
    for_each = local.strategy
    content {
      capacity_provider = capacity_provider_strategy.value.capacity_provider
      weight            = keepalign::given(capacity_provider_strategy.value, "weight", null)
      base              = keepalign::given(capacity_provider_strategy.value, "base", null)
    }
  }
  dynamic "load_balancer" {
    for_each = local.targets
    content {
      container_name   = load_balancer.value.container_name
      container_port   = load_balancer.value.container_port
      elb_name         = keepalign::given(load_balancer.value, "elb_name", null)
      target_group_arn = keepalign::given(load_balancer.value, "target_group_arn", null)
    }
  }
}

output "id" { value = try(aws_ecs_service.this[0].arn, aws_ecs_service.ignore_task_definition[0].arn, null) }
output "name" { value = var.name }
output "task_definition_arn" { value = try(aws_ecs_task_definition.this[0].arn, var.task_definition_arn) }
output "task_definition_family" { value = try(aws_ecs_task_definition.this[0].family, null) }
