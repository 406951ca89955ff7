"""Container definitions from templates and YAML files: values, and the places where they are edited."""

from __future__ import annotations

import pytest
from tests.readers.terraform.support import container, edited, read, said, task, words, written

from keepalign.model.setting import Explicit

TEMPLATE = '[{"name": "app", "image": "${image}", "stopTimeout": ${stop}, "command": ${jsonencode(words)}}]'


def test_template_file_of_old_stacks_is_rendered() -> None:
    tree = {
        "infra/main.tf": """
data "template_file" "app" {
  template = file("./templates/app.json.tpl")
  vars = {
    image = "${aws_ecr_repository.app.repository_url}:1"
    stop  = var.stop
    words = ["gunicorn"]
  }
}
variable "stop" { default = 25 }
resource "aws_ecs_task_definition" "app" {
  family                = "app"
  container_definitions = data.template_file.app.rendered
}
""",
        "infra/templates/app.json.tpl": TEMPLATE,
    }
    app = container(read(tree), "app")
    assert app.image == "*:1"
    steps = "app.json.tpl:1 stopTimeout <- main.tf:6 stop <- main.tf:10 var.stop"
    assert said(app.stop_timeout) == f"25 s: {steps}"
    assert written(tree, app.stop_timeout.site) == "infra/main.tf:10:29 25"


def test_template_file_with_a_text_of_its_own_is_rendered_without_places() -> None:
    text = """
data "template_file" "app" {
  template = <<EOF
[{"name": "$${name}", "image": "$${image}", "stopTimeout": 30}]
EOF
  vars = {
    name  = "app"
    image = aws_ecr_repository.app.repository_url
  }
}
resource "aws_ecs_task_definition" "app" {
  family                = "app"
  container_definitions = data.template_file.app.rendered
}
"""
    app = container(read({"infra/main.tf": text}), "app")
    assert app.image == "*"
    assert isinstance(app.stop_timeout, Explicit)
    assert app.stop_timeout.value.seconds == 30
    assert app.stop_timeout.site is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('template = file("gone.tpl")', "there is no file 'gone.tpl' in the module"),
        ("vars = {}", "has no template"),
        ("template = var.gone", "var.gone is not declared"),
    ],
)
def test_template_file_that_cannot_be_rendered_is_noted(data: str, reason: str) -> None:
    text = f'data "template_file" "app" {{\n  {data}\n}}\n' + task("data.template_file.app.rendered")
    (note,) = read({"infra/main.tf": text}).notes
    assert reason in note.text


YAML = """\
defaults: &defaults
  essential: true
  stopTimeout: 40
containers:
  api:
    <<: *defaults
    image: api:1
    command: [gunicorn, 'a:a']
  sidecar:
    image: fluent/fluent-bit:3
    stopTimeout: 5  # sooner
"""


def test_definitions_in_yaml_know_their_places() -> None:
    tree = {
        "infra/main.tf": task(
            "jsonencode([for name, one in local.all.containers : merge({ name = name }, one)])",
            'locals { all = yamldecode(file("${path.module}/containers.yaml")) }\n',
        ),
        "infra/containers.yaml": YAML,
    }
    fragment = read(tree)
    api, sidecar = container(fragment, "api"), container(fragment, "sidecar")
    assert (api.image, words(api)) == ("api:1", ["gunicorn", "a:a"])
    assert said(api.stop_timeout).startswith("40 s: containers.yaml:3")
    assert written(tree, sidecar.stop_timeout.site) == "infra/containers.yaml:11:18 5"
    assert sidecar.stop_timeout.site is not None
    again = container(read(edited(tree, sidecar.stop_timeout.site, 60)), "sidecar")
    assert said(again.stop_timeout).startswith("60 s")


def test_rendered_yaml_has_values_without_places() -> None:
    tree = {
        "infra/main.tf": task('jsonencode(yamldecode(templatefile("app.yml", { stop = 20 })))'),
        "infra/app.yml": "- name: app\n  image: app:1\n  stopTimeout: ${stop}\n",
    }
    app = container(read(tree), "app")
    assert isinstance(app.stop_timeout, Explicit)
    assert (app.stop_timeout.value.seconds, app.stop_timeout.site) == (20, None)


def test_keys_of_containers_are_read_in_any_case() -> None:
    text = task('jsonencode([{ name = "app", entrypoint = ["/e"], StopTimeout = 9 }])')
    app = container(read({"infra/main.tf": text}), "app")
    assert app.entry_point is not None
    assert said(app.stop_timeout).startswith("9 s")
