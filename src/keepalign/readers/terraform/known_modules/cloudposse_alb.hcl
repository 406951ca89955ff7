# cloudposse/alb/aws: one balancer, one default target group.

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
variable "load_balancer_name" { default = "" }
variable "idle_timeout" { default = 60 }
variable "client_keep_alive" { default = 3600 }
variable "http_enabled" { default = true }
variable "http_redirect" { default = false }
variable "http_port" { default = 80 }
variable "https_enabled" { default = false }
variable "https_port" { default = 443 }
variable "listener_http_fixed_response" { default = null }
variable "listener_https_fixed_response" { default = null }
variable "listener_https_redirect" { default = null }
variable "default_target_group_enabled" { default = true }
variable "target_group_name" { default = "" }
variable "target_group_port" { default = 80 }
variable "deregistration_delay" { default = 15 }
variable "health_check_path" { default = "/" }
variable "health_check_timeout" { default = 10 }
variable "health_check_interval" { default = 15 }
variable "health_check_healthy_threshold" { default = 2 }
variable "health_check_unhealthy_threshold" { default = 2 }
variable "health_check_matcher" { default = "200-399" }

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
}

resource "aws_lb" "default" {
  count              = local.on ? 1 : 0
  name               = var.load_balancer_name == "" ? local.id : substr(var.load_balancer_name, 0, 32)
  load_balancer_type = "application"
  idle_timeout       = var.idle_timeout
  client_keep_alive  = var.client_keep_alive
}

resource "aws_lb_target_group" "default" {
  count                = local.on && var.default_target_group_enabled ? 1 : 0
  name                 = var.target_group_name == "" ? "${local.id}-default" : substr(var.target_group_name, 0, 32)
  port                 = var.target_group_port
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

resource "aws_lb_listener" "http_forward" {
  count             = local.on && var.http_enabled && !var.http_redirect ? 1 : 0
  load_balancer_arn = aws_lb.default[0].arn
  port              = var.http_port
  protocol          = "HTTP"

  default_action {
    target_group_arn = var.listener_http_fixed_response != null ? null : one(aws_lb_target_group.default[*].arn)
  }
}

resource "aws_lb_listener" "http_redirect" {
  count             = local.on && var.http_enabled && var.http_redirect ? 1 : 0
  load_balancer_arn = aws_lb.default[0].arn
  port              = var.http_port
  protocol          = "HTTP"
}

resource "aws_lb_listener" "https" {
  count             = local.on && var.https_enabled ? 1 : 0
  load_balancer_arn = aws_lb.default[0].arn
  port              = var.https_port
  protocol          = "HTTPS"

  default_action {
    target_group_arn = var.listener_https_fixed_response != null || var.listener_https_redirect != null ? null : one(aws_lb_target_group.default[*].arn)
  }
}

output "alb_name" { value = one(aws_lb.default[*].name) }
output "alb_arn" { value = one(aws_lb.default[*].arn) }
output "alb_dns_name" { value = one(aws_lb.default[*].dns_name) }
output "default_target_group_arn" { value = one(aws_lb_target_group.default[*].arn) }
output "http_listener_arn" { value = one(aws_lb_listener.http_forward[*].arn) }
output "http_redirect_listener_arn" { value = one(aws_lb_listener.http_redirect[*].arn) }
output "https_listener_arn" { value = one(aws_lb_listener.https[*].arn) }
output "listener_arns" {
  value = compact(concat(
    aws_lb_listener.http_forward[*].arn, aws_lb_listener.http_redirect[*].arn, aws_lb_listener.https[*].arn,
  ))
}
