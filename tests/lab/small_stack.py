"""A small stack on disk: balancer, one ECS service, Apache in front of port 8000; read as any other.

By default nothing is wrong with it, and no container serves port 8000, so a stand-in program does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from keepalign.join import Loaded, load_stack

APACHE: Final = """\
ServerRoot "/usr/local/apache2"
ServerName small.internal
Listen 8080
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
# All processes from the start: one that starts under load closes idle connections early. So does one whose
# threads are all busy, and without ThreadLimit a process has no more than 64.
StartServers 2
ServerLimit 2
MinSpareThreads 1
MaxSpareThreads 256
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 256
{lines}
<VirtualHost *:8080>
    ProxyPass / http://127.0.0.1:8000/
</VirtualHost>
"""

TERRAFORM: Final = """\
resource "aws_lb" "main" {{
  name         = "small"
  idle_timeout = {idle}
}}
resource "aws_lb_listener" "http" {{
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {{
    type             = "forward"
    target_group_arn = aws_lb_target_group.main.arn
  }}
}}
resource "aws_lb_target_group" "main" {{
  port                 = 8080
  deregistration_delay = {delay}
  health_check {{
    path              = "/health"
    interval          = 5
    timeout           = 2
    healthy_threshold = 2
  }}
}}
resource "aws_ecs_task_definition" "main" {{
  family                = "small"
  container_definitions = jsonencode([
    {{
      name         = "httpd"
      image        = "registry.example/httpd:1"
      portMappings = [{{ containerPort = 8080 }}]
      stopTimeout  = 120
    }},
    {containers}
  ])
}}
resource "aws_ecs_service" "main" {{
  name            = "small"
  task_definition = aws_ecs_task_definition.main.arn
  desired_count   = 1
  load_balancer {{
    target_group_arn = aws_lb_target_group.main.arn
    container_name   = "httpd"
    container_port   = 8080
  }}
}}
"""

GUNICORN: Final = """\
{{
  name    = "app"
  image   = "registry.example/app:1"
  command = ["gunicorn", {words}, "app:application"]
}}
"""

APP: Final = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"mine\\n"]
"""


def write(
    folder: Path,
    *,
    idle_s: int = 60,
    keep_alive_s: int = 90,
    timeout_s: int = 300,
    delay_s: int = 300,
    lines: str = "",
    conf: str = APACHE,
    endpoints: str = '[{ path = "/quick", longest_request = "1ms", longest_silence = "1ms" }]',
    application: str = "",
    gunicorn: str = "",
    app: str = APP,
) -> Path:
    """Write the stack below `folder`, which is returned.

    Args:
        lines: of httpd.conf, in the place of KeepAliveTimeout and Timeout when given.
        endpoints: of keepalign.toml. application: lines of its [application].
        gunicorn: words of a container "app", quoted and between commas; empty: no such container.
        app: its app.py.
    """
    lines = lines or f"KeepAliveTimeout {keep_alive_s}\nTimeout {timeout_s}"
    containers = GUNICORN.format(words=gunicorn) if gunicorn else ""
    files = {
        "infra/main.tf": TERRAFORM.format(idle=idle_s, delay=delay_s, containers=containers),
        "httpd/Dockerfile": "FROM httpd:2.4\nCOPY httpd.conf /usr/local/apache2/conf/httpd.conf\n",
        "httpd/httpd.conf": conf.replace("{lines}", lines),
        "keepalign.toml": f"endpoint = {endpoints}\n[application]\n{application}\n",
    }
    if gunicorn:
        files["app/Dockerfile"] = "FROM python:3.12-slim\nCOPY app.py .\n"
        files["app/app.py"] = app
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def load(folder: Path) -> Loaded:
    """The stack below `folder`, as `check`, `fix` and `prove` read it."""
    return load_stack([str(folder)])
