# cloudposse/alb-ingress/aws: a target group, and rules of listeners that forward to it.

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
variable "default_target_group_enabled" { default = true }
variable "target_group_arn" { default = "" }
variable "target_group_name" { default = "" }
variable "port" { default = 80 }
variable "deregistration_delay" { default = 15 }
variable "health_check_path" { default = "/" }
variable "health_check_timeout" { default = 10 }
variable "health_check_interval" { default = 15 }
variable "health_check_healthy_threshold" { default = 2 }
variable "health_check_unhealthy_threshold" { default = 2 }
variable "health_check_matcher" { default = "200-399" }
variable "listener_http_header_conditions" { default = [] }
variable "unauthenticated_listener_arns" { default = [] }
variable "unauthenticated_priority" { default = null }
variable "unauthenticated_paths" { default = [] }
variable "unauthenticated_hosts" { default = [] }
variable "authenticated_listener_arns" { default = [] }
variable "authenticated_priority" { default = null }
variable "authenticated_paths" { default = [] }
variable "authenticated_hosts" { default = [] }

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
  target_group_arn = var.default_target_group_enabled ? one(aws_lb_target_group.default[*].arn) : var.target_group_arn
}

resource "aws_lb_target_group" "default" {
  count                = local.on && var.default_target_group_enabled ? 1 : 0
  name                 = coalesce(var.target_group_name, local.id)
  port                 = var.port
  deregistration_delay = var.deregistration_delay

  health_check {
    path                = var.health_check_path
    timeout             = var.health_check_timeout
    interval            = var.health_check_interval
    healthy_threshold   = var.health_check_healthy_threshold
    unhealthy_threshold = var.health_check_unhealthy_threshold
    matcher             = var.health_check_matcher
  }
}

resource "aws_lb_listener_rule" "unauthenticated_paths" {
  count        = local.on && (length(var.unauthenticated_paths) > 0 || length(var.unauthenticated_hosts) > 0) ? length(var.unauthenticated_listener_arns) : 0
  listener_arn = var.unauthenticated_listener_arns[count.index]
  priority     = coalesce(var.unauthenticated_priority, 0) > 0 ? var.unauthenticated_priority + count.index : null

  action {
    target_group_arn = local.target_group_arn
  }
  dynamic "condition" {
    for_each = length(var.unauthenticated_paths) > 0 ? [1] : []
    content {
      path_pattern {
        values = var.unauthenticated_paths
      }
    }
  }
  dynamic "condition" {
    for_each = length(var.unauthenticated_hosts) > 0 ? [1] : []
    content {
      host_header {
        values = var.unauthenticated_hosts
      }
    }
  }
  dynamic "condition" {
    for_each = length(var.listener_http_header_conditions) > 0 ? [1] : []
    content {
      http_header {}
    }
  }
}

resource "aws_lb_listener_rule" "authenticated_paths" {
  count        = local.on && (length(var.authenticated_paths) > 0 || length(var.authenticated_hosts) > 0) ? length(var.authenticated_listener_arns) : 0
  listener_arn = var.authenticated_listener_arns[count.index]
  priority     = coalesce(var.authenticated_priority, 0) > 0 ? var.authenticated_priority + count.index : null

  action {
    target_group_arn = local.target_group_arn
  }
  dynamic "condition" {
    for_each = length(var.authenticated_paths) > 0 ? [1] : []
    content {
      path_pattern {
        values = var.authenticated_paths
      }
    }
  }
  dynamic "condition" {
    for_each = length(var.authenticated_hosts) > 0 ? [1] : []
    content {
      host_header {
        values = var.authenticated_hosts
      }
    }
  }
  dynamic "condition" {
    for_each = length(var.listener_http_header_conditions) > 0 ? [1] : []
    content {
      http_header {}
    }
  }
}

output "target_group_name" { value = one(aws_lb_target_group.default[*].name) }
output "target_group_arn" { value = local.target_group_arn }
