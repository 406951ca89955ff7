# terraform-aws-modules/ecs/aws, versions 6 and 7: a cluster, and services each like modules/service.

variable "create" { default = true }
variable "services" { default = {} }

module "service" {
  source   = "keepalign:aws_modules_ecs_service_6"
  for_each = var.create ? coalesce(var.services, {}) : {}

  create                             = keepalign::optional(each.value, "create", true)
  create_service                     = keepalign::optional(each.value, "create_service", true)
  create_task_definition             = keepalign::optional(each.value, "create_task_definition", true)
  task_definition_arn                = keepalign::optional(each.value, "task_definition_arn", null)
  ignore_task_definition_changes     = keepalign::optional(each.value, "ignore_task_definition_changes", false)
  name                               = keepalign::optional(each.value, "name", each.key)
  family                             = keepalign::optional(each.value, "family", null)
  launch_type                        = keepalign::optional(each.value, "launch_type", "FARGATE")
  scheduling_strategy                = keepalign::optional(each.value, "scheduling_strategy", "REPLICA")
  desired_count                      = keepalign::optional(each.value, "desired_count", 1)
  deployment_minimum_healthy_percent = keepalign::optional(each.value, "deployment_minimum_healthy_percent", 66)
  deployment_maximum_percent         = keepalign::optional(each.value, "deployment_maximum_percent", 200)
  health_check_grace_period_seconds  = keepalign::optional(each.value, "health_check_grace_period_seconds", null)
  capacity_provider_strategy         = keepalign::optional(each.value, "capacity_provider_strategy", {})
  load_balancer                      = keepalign::optional(each.value, "load_balancer", {})
  container_definitions              = keepalign::optional(each.value, "container_definitions", {})
  container_definition_defaults      = keepalign::optional(each.value, "container_definition_defaults", {})
}

output "services" { value = module.service }
