# cloudposse/ecs-alb-service-task/aws: a task definition from JSON, and its service.

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
variable "ecs_service_enabled" { default = true }
variable "container_definition_json" { default = null }
variable "task_definition" { default = null }
variable "ecs_load_balancers" { default = [] }
variable "launch_type" { default = "FARGATE" }
variable "capacity_provider_strategies" { default = [] }
variable "desired_count" { default = 1 }
variable "deployment_minimum_healthy_percent" { default = 100 }
variable "deployment_maximum_percent" { default = 200 }
variable "health_check_grace_period_seconds" { default = 0 }
variable "ignore_changes_task_definition" { default = true }

locals {
  # As cloudposse/label/null makes names: what the call says, else what its context says.
  own = { for key, value in {
    enabled     = var.enabled
    namespace   = var.namespace
    tenant      = var.tenant
    environment = var.environment
    stage       = var.stage
    name        = var.name
    delimiter   = var.delimiter
    label_order = var.label_order
  } : key => value if value != null }
  label = merge(
    { enabled = true, delimiter = "-", label_order = ["namespace", "environment", "stage", "name", "attributes"] },
    { for key, value in coalesce(var.context, {}) : key => value if value != null && try(length(tolist(value)) > 0, true) },
    local.own,
    { attributes = distinct(concat(coalesce(keepalign::given(var.context, "attributes", []), []), coalesce(var.attributes, []))) },
  )
  on = local.label.enabled
  id = lower(join(local.label.delimiter, compact(flatten([
    for key in local.label.label_order : keepalign::given(local.label, key, null)
  ]))))
  # A text before version 0.65, a list since.
  foreign = try(var.task_definition[0], var.task_definition, null)
  creates = local.on && coalesce(local.foreign, "-") == "-"
}

resource "aws_ecs_task_definition" "default" {
  count                 = local.creates ? 1 : 0
  family                = local.id
  container_definitions = var.container_definition_json
}

resource "aws_ecs_service" "default" {
  count                              = local.on && var.ecs_service_enabled && !var.ignore_changes_task_definition ? 1 : 0
  name                               = local.id
  task_definition                    = local.creates ? aws_ecs_task_definition.default[0].arn : local.foreign
  desired_count                      = var.desired_count
  deployment_minimum_healthy_percent = var.deployment_minimum_healthy_percent
  deployment_maximum_percent         = var.deployment_maximum_percent
  health_check_grace_period_seconds  = var.health_check_grace_period_seconds
  launch_type                        = length(var.capacity_provider_strategies) > 0 ? null : var.launch_type

  dynamic "capacity_provider_strategy" {
    for_each = var.capacity_provider_strategies
    content {
      capacity_provider = capacity_provider_strategy.value.capacity_provider
      weight            = keepalign::given(capacity_provider_strategy.value, "weight", null)
      base              = keepalign::given(capacity_provider_strategy.value, "base", null)
    }
  }
  dynamic "load_balancer" {
    for_each = var.ecs_load_balancers
    content {
      container_name   = load_balancer.value.container_name
      container_port   = load_balancer.value.container_port
      elb_name         = keepalign::given(load_balancer.value, "elb_name", null)
      target_group_arn = keepalign::given(load_balancer.value, "target_group_arn", null)
    }
  }
}

resource "aws_ecs_service" "ignore_changes_task_definition" {
  count                              = local.on && var.ecs_service_enabled && var.ignore_changes_task_definition ? 1 : 0
  name                               = local.id
  task_definition                    = local.creates ? aws_ecs_task_definition.default[0].arn : local.foreign
  desired_count                      = var.desired_count
  deployment_minimum_healthy_percent = var.deployment_minimum_healthy_percent
  deployment_maximum_percent         = var.deployment_maximum_percent
  health_check_grace_period_seconds  = var.health_check_grace_period_seconds
  launch_type                        = length(var.capacity_provider_strategies) > 0 ? null : var.launch_type

  dynamic "capacity_provider_strategy" {
    for_each = var.capacity_provider_strategies
    content {
      capacity_provider = capacity_provider_strategy.value.capacity_provider
      weight            = keepalign::given(capacity_provider_strategy.value, "weight", null)
      base              = keepalign::given(capacity_provider_strategy.value, "base", null)
    }
  }
  dynamic "load_balancer" {
    for_each = var.ecs_load_balancers
    content {
      container_name   = load_balancer.value.container_name
      container_port   = load_balancer.value.container_port
      elb_name         = keepalign::given(load_balancer.value, "elb_name", null)
      target_group_arn = keepalign::given(load_balancer.value, "target_group_arn", null)
    }
  }
}

output "service_name" { value = try(aws_ecs_service.default[0].name, aws_ecs_service.ignore_changes_task_definition[0].name, "") }
output "service_arn" { value = try(aws_ecs_service.default[0].arn, aws_ecs_service.ignore_changes_task_definition[0].arn, "") }
output "task_definition_family" { value = one(aws_ecs_task_definition.default[*].family) }
output "task_definition_arn" { value = one(aws_ecs_task_definition.default[*].arn) }
