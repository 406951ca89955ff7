"""Container definitions in every form that people write them."""

from __future__ import annotations

import pytest
from tests.readers.terraform.support import container, read_text, said, task, words

from keepalign.readers._reader import CommandStyle

LIST = '[{ name = "app", image = "x:1", command = ["a", "b"], stopTimeout = 9 }]'
JSON = '[{"name": "app", "image": "x:1", "command": ["a", "b"], "stopTimeout": 9}]'
ESCAPED = JSON.replace('"', '\\"')


@pytest.mark.parametrize(
    ("written", "rest"),
    [
        (f"jsonencode({LIST})", ""),
        ("jsonencode(local.all)", f"locals {{\n  all = {LIST}\n}}\n"),
        ("local.text", f"locals {{\n  text = jsonencode({LIST})\n}}\n"),
        ('"${jsonencode(local.all)}"', f"locals {{\n  all = {LIST}\n}}\n"),
        (f"jsonencode([for c in {LIST} : merge(c, {{ cpu = 1 }})])", ""),
        (f"jsonencode(concat({LIST}, []))", ""),
        ("jsonencode([local.app])", f"locals {{\n  app = {LIST[1:-1]}\n}}\n"),
        ("jsonencode(values(local.apps))", f"locals {{\n  apps = {{ one = {LIST[1:-1]} }}\n}}\n"),
        (f"<<E\n{JSON}\nE", ""),
        (f"<<-E\n    {JSON}\n  E", ""),
        (f'"{ESCAPED}"', ""),
        (f"jsonencode(jsondecode(<<E\n{JSON}\nE\n))", ""),
        ('"[${jsonencode(local.app)}]"', f"locals {{\n  app = {LIST[1:-1]}\n}}\n"),
    ],
)
def test_container_is_read_from(written: str, rest: str) -> None:
    fragment = read_text(task(written, rest))
    assert fragment.notes == ()
    found = container(fragment, "app")
    assert (found.image, words(found)) == ("x:1", ["a", "b"])
    assert said(found.stop_timeout).startswith("9 s: main.tf:")


def test_words_know_the_variables_and_literals_behind_them() -> None:
    rest = (
        'variable "t" {\n  default = "30"\n}\nlocals {\n  workers = 8\n'
        '  base = ["gunicorn", "--timeout", var.t]\n}\n'
    )
    line = 'concat(local.base, ["-w", tostring(local.workers)])'
    text = task(f'jsonencode([{{ name = "app", command = {line} }}])', rest)
    command = container(read_text(text), "app").command
    assert command is not None
    assert command.style is CommandStyle.LIST
    data = text.encode()

    def at(name: str) -> list[str | None]:
        spans = [getattr(word, name) for word in command.words]
        return [None if s is None else f"{s.line} {data[s.start : s.end].decode()}" for s in spans]

    assert [w.text for w in command.words] == ["gunicorn", "--timeout", "30", "-w", "8"]
    assert at("span") == [
        '10 "gunicorn"',
        '10 "--timeout"',
        "10 var.t",
        '3 "-w"',
        "3 tostring(local.workers)",
    ]
    assert at("value_span") == ["10 gunicorn", "10 --timeout", "6 30", "3 -w", "9 8"]
    assert [[(name, span.line) for name, span in w.via] for w in command.words] == [
        [],
        [],
        [("var.t", 6)],
        [],
        [("local.workers", 9)],
    ]


def test_word_that_is_not_known_says_why_and_the_others_stay() -> None:
    text = task('jsonencode([{ name = "app", command = ["a", "--x=${var.none}", 8, null] }])')
    command = container(read_text(text), "app").command
    assert command is not None
    assert [w.text for w in command.words] == ["a", None, "8", None]
    assert [w.reason for w in command.words] == [
        "",
        "var.none is not declared",
        "",
        "null where a string is needed",
    ]


def test_command_that_is_not_known_is_one_word_with_the_reason() -> None:
    rest = 'variable "c" {\n}\n'
    command = container(
        read_text(task('jsonencode([{ name = "app", command = var.c }])', rest)), "app"
    ).command
    assert command is not None
    (word,) = command.words
    assert word.text is None
    assert word.reason.startswith("var.c has no default")


def test_all_parts_of_a_container_are_read() -> None:
    text = task(
        """jsonencode([{
    name         = "app"
    image        = "${var.registry}/app:${var.tag}"
    entryPoint   = ["sh", "-c"]
    portMappings = [{ containerPort = 80 }, { containerPort = "81", hostPort = 1 }, {}]
    dependsOn    = [{ containerName = "b", condition = "START" }]
    environment  = [{ name = "A", value = "1" }, { name = "B", value = var.tag }, { name = "C", value = 3 }]
  }])""",
        'variable "registry" {\n  default = "r"\n}\nvariable "tag" {\n}\n',
    )
    found = container(read_text(text), "app")
    assert found.image == "r/app:*"
    assert found.image_span is not None
    assert found.image_span.place == "infra/main.tf:5:20"
    assert found.command is None
    assert found.entry_point is not None
    assert [w.text for w in found.entry_point.words] == ["sh", "-c"]
    assert (found.ports, found.depends_on) == ((80, 81), ("b",))
    assert found.environment == {"A": "1", "B": None, "C": "3"}


def test_secret_is_a_variable_whose_text_is_not_known() -> None:
    text = task(
        'jsonencode([{ name = "api", environment = [{ name = "A", value = "1" }],'
        ' secrets = [{ name = "KEEP", valueFrom = "arn:aws:ssm:x" }] }])'
    )
    assert container(read_text(text), "api").environment == {"A": "1", "KEEP": None}


@pytest.mark.parametrize(
    ("written", "note"),
    [
        ("var.none", "the containers of aws_ecs_task_definition.app are unknown: var.none is not declared"),
        ('file("none.json")', "there is no file 'none.json' in the module"),
        ('"[{]"', "invalid JSON at infra/main.tf:3:30: expected a key in double quotes"),
        ('"not json"', "invalid JSON at infra/main.tf:3:28: expected a JSON value"),
        ("jsonencode({ name = 1 })", "container_definitions of aws_ecs_task_definition.app is not a list"),
        ("jsonencode([data.aws_x.y.z])", "container 1 of aws_ecs_task_definition.app is unknown: data.aws_x"),
        ("module.c.json", "module.c is not declared"),
    ],
)  # fmt: skip
def test_containers_that_cannot_be_evaluated_are_noted(written: str, note: str) -> None:
    fragment = read_text(task(written))
    (definition,) = fragment.task_definitions
    assert definition.containers == ()
    (found,) = fragment.notes
    assert note in found.text
    assert found.span is not None
    assert found.span.line == 3
