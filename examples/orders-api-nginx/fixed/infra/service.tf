locals {
  app_image = "${var.registry}/orders-app:${var.image_tag}"

  api_command     = ["--bind", ":8000", "--workers", "32", "--timeout", "50"]
  reports_command = ["--bind", ":8001", "--workers", "40", "--timeout", "100"]
}

resource "aws_ecs_cluster" "this" {
  name = var.name
}

resource "aws_security_group" "service" {
  name   = "${var.name}-service"
  vpc_id = var.vpc_id

  ingress {
    from_port       = 8080
    to_port         = 8080
    protocol        = "tcp"
    security_groups = [aws_security_group.alb.id]
  }
}

resource "aws_iam_role" "execution" {
  name = "${var.name}-execution"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
    }]
  })
}

resource "aws_ecs_task_definition" "orders" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 2048
  memory                   = 4096
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([
    {
      name         = "nginx"
      image        = "${var.registry}/orders-nginx:${var.image_tag}"
      essential    = true
      portMappings = [{ containerPort = 8080 }]
      stopTimeout  = var.stop_timeout
      # nginx stops first: it lets requests finish while the applications still answer.
      dependsOn = [
        { containerName = "api", condition = "START" },
        { containerName = "reports", condition = "START" },
      ]
    },
    {
      name        = "api"
      image       = local.app_image
      essential   = true
      command     = local.api_command
      stopTimeout = var.stop_timeout
    },
    {
      name        = "reports"
      image       = local.app_image
      essential   = true
      command     = local.reports_command
      stopTimeout = var.stop_timeout
    },
  ])
}

resource "aws_ecs_service" "orders" {
  name            = var.name
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.orders.arn
  launch_type     = "FARGATE"
  desired_count   = var.desired_count

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60

  network_configuration {
    subnets         = var.subnet_ids
    security_groups = [aws_security_group.service.id]
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.orders.arn
    container_name   = "nginx"
    container_port   = 8080
  }
}
