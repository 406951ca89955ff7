# umotif-public/ecs-fargate/aws: target groups, a task of one container, and its service.

variable "name_prefix" { default = null }
variable "container_name" { default = "" }
variable "container_definitions" { default = null }
variable "task_container_image" { default = null }
variable "task_container_port" { default = 80 }
variable "task_container_command" { default = [] }
variable "task_container_entrypoint" { default = [] }
variable "task_container_environment" { default = {} }
variable "task_stop_timeout" { default = null }
variable "load_balanced" { default = true }
variable "target_groups" { default = [] }
variable "health_check" { default = {} }
variable "health_check_grace_period_seconds" { default = 300 }
variable "desired_count" { default = 1 }
variable "deployment_minimum_healthy_percent" { default = 50 }
variable "deployment_maximum_percent" { default = 200 }
variable "capacity_provider_strategy" { default = [] }

locals {
  container = var.container_name != "" ? var.container_name : var.name_prefix
}

resource "aws_lb_target_group" "task" {
  for_each             = var.load_balanced ? { for one in var.target_groups : one.target_group_name => one } : {}
  name                 = each.value.target_group_name
  port                 = keepalign::given(each.value, "container_port", var.task_container_port)
  deregistration_delay = keepalign::given(each.value, "deregistration_delay", null)

  health_check {
    path                = keepalign::given(var.health_check, "path", "/")
    interval            = keepalign::given(var.health_check, "interval", 30)
    timeout             = keepalign::given(var.health_check, "timeout", 5)
    healthy_threshold   = keepalign::given(var.health_check, "healthy_threshold", 5)
    unhealthy_threshold = keepalign::given(var.health_check, "unhealthy_threshold", 2)
    matcher             = keepalign::given(var.health_check, "matcher", null)
  }
}

resource "aws_ecs_task_definition" "task" {
  family = var.name_prefix
  container_definitions = var.container_definitions != null ? var.container_definitions : jsonencode([{
    name         = local.container
    image        = var.task_container_image
    command      = length(var.task_container_command) > 0 ? var.task_container_command : null
    entryPoint   = length(var.task_container_entrypoint) > 0 ? var.task_container_entrypoint : null
    environment  = [for name, value in var.task_container_environment : { name = name, value = value }]
    portMappings = [{ containerPort = var.task_container_port }]
    stopTimeout  = var.task_stop_timeout
  }])
}

resource "aws_ecs_service" "service" {
  name                               = var.name_prefix
  task_definition                    = aws_ecs_task_definition.task.arn
  desired_count                      = var.desired_count
  deployment_minimum_healthy_percent = var.deployment_minimum_healthy_percent
  deployment_maximum_percent         = var.deployment_maximum_percent
  health_check_grace_period_seconds  = var.load_balanced ? var.health_check_grace_period_seconds : null
  launch_type                        = length(var.capacity_provider_strategy) == 0 ? "FARGATE" : null

  dynamic "capacity_provider_strategy" {
    for_each = var.capacity_provider_strategy
    content {
      capacity_provider = capacity_provider_strategy.value.capacity_provider
      weight            = capacity_provider_strategy.value.weight
      base              = keepalign::given(capacity_provider_strategy.value, "base", null)
    }
  }
  dynamic "load_balancer" {
    for_each = var.load_balanced ? var.target_groups : []
    content {
      container_name   = keepalign::given(load_balancer.value, "container_name", local.container)
      container_port   = keepalign::given(load_balancer.value, "container_port", var.task_container_port)
      target_group_arn = aws_lb_target_group.task[load_balancer.value.target_group_name].arn
    }
  }
}

output "service_name" { value = aws_ecs_service.service.name }
output "target_group_arn" { value = [for one in aws_lb_target_group.task : one.arn] }
output "target_group_name" { value = [for one in aws_lb_target_group.task : one.name] }
output "task_definition_arn" { value = aws_ecs_task_definition.task.arn }
