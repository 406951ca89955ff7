# terraform-aws-modules/alb/aws, versions 9 and 10: maps of target groups and listeners.

variable "create" { default = true }
variable "name" { default = null }
variable "load_balancer_type" { default = "application" }
variable "idle_timeout" { default = null }
variable "client_keep_alive" { default = null }
variable "target_groups" { default = {} }
variable "listeners" { default = {} }
variable "default_port" { default = 80 }
variable "default_protocol" { default = "HTTP" }

locals {
  target_groups = var.create && var.target_groups != null ? var.target_groups : {}
  listeners     = var.create && var.listeners != null ? var.listeners : {}
  rules = flatten([for listener, its in local.listeners : [
    for name, rule in coalesce(keepalign::given(its, "rules", null), {}) : { listener = listener, name = name, rule = rule }
  ]])
}

resource "aws_lb" "this" {
  count              = var.create ? 1 : 0
  name               = var.name
  load_balancer_type = var.load_balancer_type
  idle_timeout       = var.idle_timeout
  client_keep_alive  = var.client_keep_alive
}

resource "aws_lb_target_group" "this" {
  for_each             = local.target_groups
  name                 = keepalign::given(each.value, "name", null)
  port                 = keepalign::given(each.value, "port", var.default_port)
  deregistration_delay = keepalign::given(each.value, "deregistration_delay", null)

  dynamic "health_check" {
    for_each = keepalign::given(each.value, "health_check", null)[*]
    content {
      path                = keepalign::given(health_check.value, "path", null)
      interval            = keepalign::given(health_check.value, "interval", null)
      timeout             = keepalign::given(health_check.value, "timeout", null)
      healthy_threshold   = keepalign::given(health_check.value, "healthy_threshold", null)
      unhealthy_threshold = keepalign::given(health_check.value, "unhealthy_threshold", null)
      matcher             = keepalign::given(health_check.value, "matcher", null)
    }
  }
}

resource "aws_lb_listener" "this" {
  for_each                 = local.listeners
  load_balancer_arn        = aws_lb.this[0].arn
  port                     = keepalign::optional(each.value, "port", var.default_port)
  protocol                 = keepalign::optional(each.value, "protocol", var.default_protocol)
  tcp_idle_timeout_seconds = keepalign::given(each.value, "tcp_idle_timeout_seconds", null)

  dynamic "default_action" {
    for_each = keepalign::given(each.value, "forward", null)[*]
    content {
      # A forward to several target groups is `weighted_forward`; version 9 takes "arn", version 10 the long name.
      target_group_arn = try(
        aws_lb_target_group.this[default_action.value.target_group_key].arn,
        default_action.value.arn,
        default_action.value.target_group_arn,
        null,
      )
    }
  }

  dynamic "default_action" {
    for_each = keepalign::given(each.value, "weighted_forward", null)[*]
    content {
      forward {
        dynamic "target_group" {
          for_each = default_action.value.target_groups
          content {
            arn = try(
              aws_lb_target_group.this[target_group.value.target_group_key].arn,
              target_group.value.arn,
              target_group.value.target_group_arn,
              null,
            )
          }
        }
      }
    }
  }
}

resource "aws_lb_listener_rule" "this" {
  for_each     = { for one in local.rules : "${one.listener}/${one.name}" => one }
  listener_arn = try(each.value.rule.listener_arn, aws_lb_listener.this[each.value.listener].arn)
  priority     = keepalign::given(each.value.rule, "priority", null)

  # Version 9: type = "forward" beside target_group_key; version 10: forward = { target_group_key = … }.
  dynamic "action" {
    for_each = [
      for one in each.value.rule.actions : keepalign::optional(one, "forward", one)
      if keepalign::given(one, "type", "") == "forward" || keepalign::given(one, "forward", null) != null
    ]
    content {
      target_group_arn = try(
        aws_lb_target_group.this[action.value.target_group_key].arn,
        action.value.target_group_arn,
        action.value.arn,
        null,
      )
    }
  }

  dynamic "action" {
    for_each = [
      for one in each.value.rule.actions : keepalign::optional(one, "weighted_forward", one)
      if keepalign::given(one, "type", "") == "weighted-forward" || keepalign::given(one, "weighted_forward", null) != null
    ]
    content {
      forward {
        dynamic "target_group" {
          for_each = action.value.target_groups
          content {
            arn = try(
              aws_lb_target_group.this[target_group.value.target_group_key].arn,
              target_group.value.arn,
              target_group.value.target_group_arn,
              null,
            )
          }
        }
      }
    }
  }

  dynamic "condition" {
    for_each = each.value.rule.conditions
    content {
      dynamic "path_pattern" {
        for_each = keepalign::given(condition.value, "path_pattern", null)[*]
        content {
          values       = keepalign::given(path_pattern.value, "values", null)
          regex_values = keepalign::given(path_pattern.value, "regex_values", null)
        }
      }
      dynamic "host_header" {
        for_each = keepalign::given(condition.value, "host_header", null)[*]
        content {
          values = keepalign::given(host_header.value, "values", null)
        }
      }
      dynamic "http_header" {
        for_each = keepalign::given(condition.value, "http_header", null)[*]
        content {}
      }
      dynamic "http_request_method" {
        for_each = keepalign::given(condition.value, "http_request_method", null)[*]
        content {}
      }
      dynamic "query_string" {
        for_each = keepalign::given(condition.value, "query_string", null)[*]
        content {}
      }
      dynamic "source_ip" {
        for_each = keepalign::given(condition.value, "source_ip", null)[*]
        content {}
      }
    }
  }
}

output "id" { value = try(aws_lb.this[0].arn, null) }
output "arn" { value = try(aws_lb.this[0].arn, null) }
output "dns_name" { value = try(aws_lb.this[0].dns_name, null) }
output "listeners" { value = aws_lb_listener.this }
output "listener_rules" { value = aws_lb_listener_rule.this }
output "target_groups" { value = aws_lb_target_group.this }
