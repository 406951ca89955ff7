# umotif-public/alb/aws: a balancer; its listeners and target groups are the caller's.

variable "name_prefix" { default = null }
variable "load_balancer_type" { default = "application" }
variable "idle_timeout" { default = 60 }
variable "enable_http_to_https_redirect" { default = false }

resource "aws_lb" "main" {
  name               = var.name_prefix
  load_balancer_type = var.load_balancer_type
  idle_timeout       = var.idle_timeout
}

resource "aws_lb_listener" "frontend_http_to_https_redirect" {
  count             = var.enable_http_to_https_redirect ? 1 : 0
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"
}

output "arn" { value = aws_lb.main.arn }
output "dns_name" { value = aws_lb.main.dns_name }
