# terraform-aws-modules/alb/aws, versions 5 to 8: lists of target groups and listeners, joined by index.

variable "create_lb" { default = true }
variable "name" { default = null }
variable "load_balancer_type" { default = "application" }
variable "idle_timeout" { default = 60 }
variable "target_groups" { default = [] }
variable "http_tcp_listeners" { default = [] }
variable "https_listeners" { default = [] }
variable "http_tcp_listener_rules" { default = [] }
variable "https_listener_rules" { default = [] }

locals {
  create = var.create_lb
}

resource "aws_lb" "this" {
  count              = local.create ? 1 : 0
  name               = var.name
  load_balancer_type = var.load_balancer_type
  idle_timeout       = var.idle_timeout
}

resource "aws_lb_target_group" "main" {
  count                = local.create ? length(var.target_groups) : 0
  name                 = keepalign::given(var.target_groups[count.index], "name", null)
  port                 = keepalign::given(var.target_groups[count.index], "backend_port", null)
  deregistration_delay = keepalign::given(var.target_groups[count.index], "deregistration_delay", null)

  dynamic "health_check" {
    for_each = keepalign::given(var.target_groups[count.index], "health_check", null)[*]
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

resource "aws_lb_listener" "frontend_http_tcp" {
  count             = local.create ? length(var.http_tcp_listeners) : 0
  load_balancer_arn = aws_lb.this[0].arn
  port              = var.http_tcp_listeners[count.index].port
  protocol          = var.http_tcp_listeners[count.index].protocol

  dynamic "default_action" {
    for_each = [for one in [var.http_tcp_listeners[count.index]] : one if contains(["forward", ""], keepalign::optional(one, "action_type", "forward"))]
    content {
      target_group_arn = keepalign::given(default_action.value, "forward", null) != null ? null : aws_lb_target_group.main[keepalign::given(default_action.value, "target_group_index", count.index)].arn
      dynamic "forward" {
        for_each = keepalign::given(default_action.value, "forward", null)[*]
        content {
          dynamic "target_group" {
            for_each = forward.value.target_groups
            content {
              arn = aws_lb_target_group.main[target_group.value.target_group_index].arn
            }
          }
        }
      }
    }
  }
}

resource "aws_lb_listener" "frontend_https" {
  count             = local.create ? length(var.https_listeners) : 0
  load_balancer_arn = aws_lb.this[0].arn
  port              = var.https_listeners[count.index].port
  protocol          = keepalign::given(var.https_listeners[count.index], "protocol", "HTTPS")

  # Behind an authentication the request is forwarded, too.
  dynamic "default_action" {
    for_each = [
      for one in [var.https_listeners[count.index]] : one
      if contains(["forward", "", "authenticate-oidc", "authenticate-cognito"], keepalign::optional(one, "action_type", "forward"))
    ]
    content {
      target_group_arn = keepalign::given(default_action.value, "forward", null) != null ? null : aws_lb_target_group.main[keepalign::given(default_action.value, "target_group_index", count.index)].arn
      dynamic "forward" {
        for_each = keepalign::given(default_action.value, "forward", null)[*]
        content {
          dynamic "target_group" {
            for_each = forward.value.target_groups
            content {
              arn = aws_lb_target_group.main[target_group.value.target_group_index].arn
            }
          }
        }
      }
    }
  }
}

resource "aws_lb_listener_rule" "http_tcp_listener_rule" {
  count        = local.create ? length(var.http_tcp_listener_rules) : 0
  listener_arn = aws_lb_listener.frontend_http_tcp[keepalign::given(var.http_tcp_listener_rules[count.index], "http_tcp_listener_index", count.index)].arn
  priority     = keepalign::given(var.http_tcp_listener_rules[count.index], "priority", null)

  dynamic "action" {
    for_each = [for one in var.http_tcp_listener_rules[count.index].actions : one if one.type == "forward"]
    content {
      target_group_arn = aws_lb_target_group.main[keepalign::given(action.value, "target_group_index", count.index)].arn
    }
  }
  dynamic "action" {
    for_each = [for one in var.http_tcp_listener_rules[count.index].actions : one if one.type == "weighted-forward"]
    content {
      forward {
        dynamic "target_group" {
          for_each = action.value.target_groups
          content {
            arn = aws_lb_target_group.main[target_group.value.target_group_index].arn
          }
        }
      }
    }
  }
  dynamic "condition" {
    for_each = var.http_tcp_listener_rules[count.index].conditions
    content {
      dynamic "path_pattern" {
        for_each = keepalign::given(condition.value, "path_patterns", null) != null ? [condition.value] : []
        content {
          values = condition.value.path_patterns
        }
      }
      dynamic "host_header" {
        for_each = keepalign::given(condition.value, "host_headers", null) != null ? [condition.value] : []
        content {
          values = condition.value.host_headers
        }
      }
      dynamic "http_header" {
        for_each = keepalign::given(condition.value, "http_headers", [])
        content {}
      }
      dynamic "http_request_method" {
        for_each = keepalign::given(condition.value, "http_request_methods", null) != null ? [1] : []
        content {}
      }
      dynamic "query_string" {
        for_each = keepalign::given(condition.value, "query_strings", [])
        content {}
      }
      dynamic "source_ip" {
        for_each = keepalign::given(condition.value, "source_ips", null) != null ? [1] : []
        content {}
      }
    }
  }
}

resource "aws_lb_listener_rule" "https_listener_rule" {
  count        = local.create ? length(var.https_listener_rules) : 0
  listener_arn = aws_lb_listener.frontend_https[keepalign::given(var.https_listener_rules[count.index], "https_listener_index", count.index)].arn
  priority     = keepalign::given(var.https_listener_rules[count.index], "priority", null)

  dynamic "action" {
    for_each = [for one in var.https_listener_rules[count.index].actions : one if one.type == "forward"]
    content {
      target_group_arn = aws_lb_target_group.main[keepalign::given(action.value, "target_group_index", count.index)].arn
    }
  }
  dynamic "action" {
    for_each = [for one in var.https_listener_rules[count.index].actions : one if one.type == "weighted-forward"]
    content {
      forward {
        dynamic "target_group" {
          for_each = action.value.target_groups
          content {
            arn = aws_lb_target_group.main[target_group.value.target_group_index].arn
          }
        }
      }
    }
  }
  dynamic "condition" {
    for_each = var.https_listener_rules[count.index].conditions
    content {
      dynamic "path_pattern" {
        for_each = keepalign::given(condition.value, "path_patterns", null) != null ? [condition.value] : []
        content {
          values = condition.value.path_patterns
        }
      }
      dynamic "host_header" {
        for_each = keepalign::given(condition.value, "host_headers", null) != null ? [condition.value] : []
        content {
          values = condition.value.host_headers
        }
      }
      dynamic "http_header" {
        for_each = keepalign::given(condition.value, "http_headers", [])
        content {}
      }
      dynamic "http_request_method" {
        for_each = keepalign::given(condition.value, "http_request_methods", null) != null ? [1] : []
        content {}
      }
      dynamic "query_string" {
        for_each = keepalign::given(condition.value, "query_strings", [])
        content {}
      }
      dynamic "source_ip" {
        for_each = keepalign::given(condition.value, "source_ips", null) != null ? [1] : []
        content {}
      }
    }
  }
}

# Version 5 called its outputs this_lb_….
output "this_lb_id" { value = try(aws_lb.this[0].arn, "") }
output "this_lb_arn" { value = try(aws_lb.this[0].arn, "") }
output "this_lb_dns_name" { value = try(aws_lb.this[0].dns_name, "") }
output "lb_id" { value = try(aws_lb.this[0].arn, "") }
output "lb_arn" { value = try(aws_lb.this[0].arn, "") }
output "lb_dns_name" { value = try(aws_lb.this[0].dns_name, "") }
output "http_tcp_listener_arns" { value = aws_lb_listener.frontend_http_tcp[*].arn }
output "http_tcp_listener_ids" { value = aws_lb_listener.frontend_http_tcp[*].arn }
output "https_listener_arns" { value = aws_lb_listener.frontend_https[*].arn }
output "https_listener_ids" { value = aws_lb_listener.frontend_https[*].arn }
output "target_group_arns" { value = aws_lb_target_group.main[*].arn }
output "target_group_names" { value = aws_lb_target_group.main[*].name }
