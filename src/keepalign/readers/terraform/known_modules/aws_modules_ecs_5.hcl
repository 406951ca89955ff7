# terraform-aws-modules/ecs/aws, version 5: a cluster, and services each like modules/service.

variable "create" { default = true }
variable "services" { default = {} }

module "service" {
  source   = "keepalign:aws_modules_ecs_service_5"
  for_each = var.create ? coalesce(var.services, {}) : {}

  create                             = keepalign::given(each.value, "create", true)
  create_service                     = keepalign::given(each.value, "create_service", true)
  create_task_definition             = keepalign::given(each.value, "create_task_definition", true)
  task_definition_arn                = keepalign::given(each.value, "task_definition_arn", null)
  ignore_task_definition_changes     = keepalign::given(each.value, "ignore_task_definition_changes", false)
  name                               = keepalign::optional(each.value, "name", each.key)
  family                             = keepalign::given(each.value, "family", null)
  launch_type                        = keepalign::given(each.value, "launch_type", "FARGATE")
  scheduling_strategy                = keepalign::given(each.value, "scheduling_strategy", "REPLICA")
  desired_count                      = keepalign::given(each.value, "desired_count", 1)
  deployment_minimum_healthy_percent = keepalign::given(each.value, "deployment_minimum_healthy_percent", 66)
  deployment_maximum_percent         = keepalign::given(each.value, "deployment_maximum_percent", 200)
  health_check_grace_period_seconds  = keepalign::given(each.value, "health_check_grace_period_seconds", null)
  capacity_provider_strategy         = keepalign::given(each.value, "capacity_provider_strategy", {})
  load_balancer                      = keepalign::given(each.value, "load_balancer", {})
  container_definitions              = keepalign::given(each.value, "container_definitions", {})
  container_definition_defaults      = keepalign::given(each.value, "container_definition_defaults", {})
}

output "services" { value = module.service }
