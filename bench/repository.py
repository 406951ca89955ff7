"""`check` on whole repositories beside checkov, the checker that people have in their pull requests.

Four trees are generated, the same in every run: over 12,000 lines of Terraform, once as resources in several
roots and once as roots that call modules, a repository of 50 files, and a mixed one of 20,000 files, half of
them ignored by git. checkov runs on all but the last, pinned, in a virtual environment of its own (made once,
below bench/.peers), without downloads. Both tools check different things; what is compared is what a pull
request pays for each.

Goals: 30 times less processor time than checkov, less than 100 MB, a repository of 50 files below 1 s, 20,000
files walked below 5 s.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

PAIRS = 3
CHECKOV = "checkov==3.3.30"
PEERS = Path(__file__).parent / ".peers"

SERVICE = """\
resource "aws_lb" "{name}" {{
  name               = "${{var.environment}}-{name}"
  internal           = {internal}
  load_balancer_type = "application"
  security_groups    = [aws_security_group.{name}.id]
  subnets            = var.public_subnets
  idle_timeout       = var.idle_timeout

  access_logs {{
    bucket  = aws_s3_bucket.{name}_logs.bucket
    prefix  = "alb/{name}"
    enabled = true
  }}

  tags = merge(local.tags, {{ Service = "{name}" }})
}}

resource "aws_lb_listener" "{name}" {{
  load_balancer_arn = aws_lb.{name}.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {{
    type             = "forward"
    target_group_arn = aws_lb_target_group.{name}.arn
  }}
}}

resource "aws_lb_target_group" "{name}" {{
  name                 = "${{var.environment}}-{name}"
  port                 = {port}
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = var.vpc_id
  deregistration_delay = {delay}

  health_check {{
    path                = "/healthz"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
    matcher             = "200-299"
  }}
}}

resource "aws_ecs_task_definition" "{name}" {{
  family                   = "${{var.environment}}-{name}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  execution_role_arn       = var.execution_role_arn

  container_definitions = jsonencode([
    {{
      name         = "{name}"
      image        = "${{var.registry}}/{name}:${{var.release}}"
      command      = ["gunicorn", "--bind", "0.0.0.0:{port}", "--workers", "4", "--threads", "8",
                      "--keep-alive", "{keep_alive}", "app:application"]
      stopTimeout  = 60
      essential    = true
      portMappings = [{{ containerPort = {port}, protocol = "tcp" }}]
      environment = [
        {{ name = "LOG_LEVEL", value = "info" }},
        {{ name = "SERVICE", value = "{name}" }},
      ]
      logConfiguration = {{
        logDriver = "awslogs"
        options = {{
          awslogs-group         = aws_cloudwatch_log_group.{name}.name
          awslogs-region        = var.region
          awslogs-stream-prefix = "{name}"
        }}
      }}
    }},
  ])
}}

resource "aws_ecs_service" "{name}" {{
  name            = "{name}"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.{name}.arn
  desired_count   = 3
  launch_type     = "FARGATE"

  network_configuration {{
    subnets         = var.private_subnets
    security_groups = [aws_security_group.{name}.id]
  }}

  load_balancer {{
    target_group_arn = aws_lb_target_group.{name}.arn
    container_name   = "{name}"
    container_port   = {port}
  }}
}}

resource "aws_cloudwatch_log_group" "{name}" {{
  name              = "/ecs/${{var.environment}}/{name}"
  retention_in_days = 30
}}

resource "aws_s3_bucket" "{name}_logs" {{
  bucket = "${{var.environment}}-{name}-logs"
  tags   = local.tags
}}

resource "aws_security_group" "{name}" {{
  name   = "${{var.environment}}-{name}"
  vpc_id = var.vpc_id

  ingress {{
    from_port   = {port}
    to_port     = {port}
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }}

  egress {{
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }}
}}
"""
VARIABLES = "\n".join(
    [
        *(
            f'variable "{name}" {{\n  type = string\n}}\n'
            for name in ("environment", "vpc_id", "certificate_arn", "execution_role_arn", "cluster_arn")
        ),
        'variable "public_subnets" {\n  type = list(string)\n}\n',
        'variable "private_subnets" {\n  type = list(string)\n}\n',
        'variable "registry" {\n  type    = string\n  default = "registry.example.com"\n}\n',
        'variable "release" {\n  type    = string\n  default = "latest"\n}\n',
        'variable "region" {\n  type    = string\n  default = "eu-central-1"\n}\n',
        'variable "idle_timeout" {\n  type    = number\n  default = 60\n}\n',
        'locals {\n  tags = {\n    Environment = var.environment\n    ManagedBy   = "terraform"\n  }\n}\n',
    ]
)


MODULE_VARIABLES = {
    "name": "string", "environment": "string", "vpc_id": "string", "certificate_arn": "string",
    "cluster_arn": "string", "execution_role_arn": "string", "registry": "string", "release": "string",
    "region": "string", "public_subnets": "list(string)", "private_subnets": "list(string)",
    "idle_timeout": "number", "deregistration_delay": "number", "keep_alive": "number", "port": "number",
    "internal": "bool", "tags": "map(string)",
}  # fmt: skip
CALL = """\
module "{name}" {{
  source = "../modules/service"

  name                 = "{name}"
  environment          = var.environment
  vpc_id               = var.vpc_id
  certificate_arn      = var.certificate_arn
  cluster_arn          = var.cluster_arn
  execution_role_arn   = var.execution_role_arn
  registry             = var.registry
  release              = var.release
  region               = var.region
  public_subnets       = var.public_subnets
  private_subnets      = var.private_subnets
  idle_timeout         = var.idle_timeout
  deregistration_delay = {delay}
  keep_alive           = {keep_alive}
  port                 = {port}
  internal             = {internal}
  tags                 = local.tags
}}

output "{name}_target_group_arn" {{
  description = "Where {name} registers its tasks."
  value       = module.{name}.target_group_arn
}}

output "{name}_dns_name" {{
  description = "What the name of {name} leads to."
  value       = module.{name}.dns_name
}}

"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one whole process: processor seconds, wall seconds, peak memory in MB."""

    processor: float
    wall: float
    memory: float


def cost(argv: Sequence[str]) -> Cost:
    """Findings (exit code 1) are no failure."""
    begin = perf_counter()
    # Neither pipe is read, so nothing is kept; a failure is run again below to show what it says.
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = perf_counter() - begin
    assert process.returncode in (0, 1), subprocess.run(
        argv, capture_output=True, check=False
    ).stderr.decode()
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def terraform(folder: Path, roots: int, services: int) -> int:
    """Root modules with services of their own. Returns: lines written."""
    lines = 0
    for root in range(roots):
        for number in range(services):
            text = SERVICE.format(
                name=f"svc{number}", port=8000 + number, internal=str(number % 2 == 0).lower(),
                delay=(30, 60, 300)[number % 3], keep_alive=(2, 75, 120)[number % 3],
            )  # fmt: skip
            write(folder / f"env{root}" / f"svc{number}.tf", text)
            lines += text.count("\n")
        write(folder / f"env{root}" / "variables.tf", VARIABLES)
        lines += VARIABLES.count("\n")
    return lines


def modules(folder: Path, roots: int, services: int) -> int:
    """Root modules that call one module per service. Returns: lines written."""
    resources = SERVICE.format(
        name="this", port="${var.port}", internal="var.internal", delay="var.deregistration_delay",
        keep_alive="${var.keep_alive}",
    )  # fmt: skip
    for use in ("= ${var.port}", "containerPort = ${var.port}"):
        resources = resources.replace(use, use.replace("${var.port}", "var.port"))
    resources = resources.replace("local.tags", "var.tags").replace(
        '"this"\n  cluster', "var.name\n  cluster"
    )
    variables = "".join(
        f'variable "{name}" {{\n  type = {kind}\n}}\n\n' for name, kind in MODULE_VARIABLES.items()
    )
    outputs = (
        'output "target_group_arn" {\n  value = aws_lb_target_group.this.arn\n}\n\n'
        'output "dns_name" {\n  value = aws_lb.this.dns_name\n}\n'
    )
    write(folder / "modules/service/main.tf", resources)
    write(folder / "modules/service/variables.tf", variables)
    write(folder / "modules/service/outputs.tf", outputs)
    lines = (resources + variables + outputs).count("\n")
    for root in range(roots):
        calls = "".join(
            CALL.format(
                name=f"svc{number}", port=8000 + number, internal=str(number % 2 == 0).lower(),
                delay=(30, 60, 300)[number % 3], keep_alive=(2, 75, 120)[number % 3],
            )
            for number in range(services)
        )  # fmt: skip
        write(folder / f"env{root}" / "main.tf", calls)
        write(folder / f"env{root}" / "variables.tf", VARIABLES)
        lines += (calls + VARIABLES).count("\n")
    return lines


def repository(folder: Path) -> int:
    """What one service's repository holds. Returns: files written."""
    terraform(folder / "infra", roots=1, services=3)
    write(folder / "Dockerfile", "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\n"
          'CMD ["gunicorn", "--bind", "0.0.0.0:8000", "app:application"]\n')  # fmt: skip
    write(folder / "requirements.txt", "gunicorn==23.0.0\nflask==3.1.0\n")
    write(folder / "compose.yaml", "services:\n  app:\n    build: .\n    ports: ['8000:8000']\n")
    write(folder / "deploy/k8s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {}\n")
    for number in range(42):
        write(folder / "app" / f"module{number}.py", "def handle(request):\n    return request\n" * 40)
    return sum(1 for path in folder.rglob("*") if path.is_file())


def mixed(folder: Path, files: int) -> None:
    """A monorepository: sources, documents, manifests and data, half of it ignored by git."""
    write(folder / ".git" / "HEAD", "ref: refs/heads/main\n")
    write(folder / ".gitignore", "node_modules/\ndist/\n*.log\n")
    repository(folder / "services" / "orders")
    kinds = {
        "py": "def f():\n    return 1\n" * 30, "ts": "export const a = 1;\n" * 60, "md": "# words\n\n" * 60,
        "json": '{"a": [1, 2, 3]}\n', "yaml": "a:\n  - b\n" * 30, "go": "package a\n\nfunc F() {}\n" * 20,
        "css": "a { b: c }\n" * 50, "sh": "#!/bin/sh\necho 1\n", "txt": "x\n" * 99, "html": "<p></p>\n" * 40,
    }  # fmt: skip
    names = list(kinds)
    for number in range(files):
        kind = names[number % len(names)]
        top = "web/node_modules" if number % 2 else "packages"
        write(folder / top / f"p{number % 97}" / f"d{number % 13}" / f"f{number}.{kind}", kinds[kind])


def peer() -> list[str]:
    """checkov's command line, installed when it is not."""
    folder = PEERS / CHECKOV.replace("==", "-")
    program = folder / "bin" / "checkov"
    if not program.exists():
        uv = os.path.join(os.path.dirname(sys.executable), "uv")
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True
        )
        python = str(folder / "bin" / "python")
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, CHECKOV], check=True)
    return [str(program), "--quiet", "--compact", "--skip-download"]


def run() -> None:
    """Print medians, and the ratios pair by pair."""
    keepalign = [os.path.join(os.path.dirname(sys.executable), "keepalign"), "check"]
    checkov = peer()
    with tempfile.TemporaryDirectory() as place:
        trees = {name: Path(place) / name for name in ("terraform", "modules", "repository", "mixed")}
        lines = terraform(trees["terraform"], roots=8, services=12)
        called = modules(trees["modules"], roots=10, services=40)
        count = repository(trees["repository"])
        mixed(trees["mixed"], 20_000)
        told = {
            "terraform": f"Terraform, {lines:,} lines of resources",
            "modules": f"Terraform, {called:,} lines, 400 calls of a module",
            "repository": f"repository, {count} files",
        }
        for name, what in told.items():
            tree = str(trees[name])
            others = [*checkov, "--directory", tree]
            others += ["--framework", "terraform"] if name != "repository" else []
            cost([*keepalign, tree])  # warm: files in the cache, bytecode written
            pairs = [(cost([*keepalign, tree]), cost(others)) for _ in range(PAIRS)]
            show(what, [own for own, _ in pairs])
            show(f"  {CHECKOV}", [other for _, other in pairs])
            ratio = statistics.median(other.processor / own.processor for own, other in pairs)
            print(f"  {ratio:.0f} times less processor time (median of {PAIRS} pairs)")
        cost([*keepalign, str(trees["mixed"])])
        show("mixed, 20,000 files", [cost([*keepalign, str(trees["mixed"])]) for _ in range(PAIRS)])


def show(what: str, costs: Sequence[Cost]) -> None:
    """One line of medians."""
    processor, wall, memory = (
        statistics.median(values)
        for values in zip(*((c.processor, c.wall, c.memory) for c in costs), strict=True)
    )
    print(f"{what}: {processor:.2f} s CPU, {wall:.2f} s, {memory:.0f} MB", flush=True)
