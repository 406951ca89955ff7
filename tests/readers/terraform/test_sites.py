"""What a site promises: written there, another value is what the module says when it is read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.terraform.support import (
    balancer,
    container,
    edited,
    idle_timeout,
    read,
    read_text,
    said,
    seconds,
    task,
    words,
    written,
)

from keepalign.model.setting import Explicit, Unknown
from keepalign.readers._reader import Absent, Read

VARIABLE = 'variable "idle" {{\n  type    = {type}\n  default = {default}\n}}\n'

# name: (main.tf, other files, what an edit replaces, the number of its line). VALUE is a number.
PLACEMENTS: dict[str, tuple[str, dict[str, str], str]] = {
    "literal": (balancer("VALUE"), {}, "VALUE"),
    "literal in parentheses": (balancer("(VALUE)"), {}, "VALUE"),
    "string": (balancer('"VALUE"'), {}, "VALUE"),
    "variable default": (
        balancer("var.idle", VARIABLE.format(type="number", default="VALUE")),
        {},
        "VALUE",
    ),
    "variable default as string": (
        balancer("var.idle", VARIABLE.format(type="number", default='"VALUE"')),
        {},
        "VALUE",
    ),
    "interpolation": (
        balancer('"${var.idle}"', VARIABLE.format(type="number", default="VALUE")),
        {},
        "VALUE",
    ),
    "terraform.tfvars": (
        balancer("var.idle", VARIABLE.format(type="number", default="1")),
        {"terraform.tfvars": "idle = VALUE\n"},
        "VALUE",
    ),
    "auto.tfvars over terraform.tfvars": (
        balancer("var.idle", VARIABLE.format(type="number", default="1")),
        {"terraform.tfvars": "idle = 2\n", "a.auto.tfvars": "idle = 3\n", "b.auto.tfvars": "idle = VALUE\n"},
        "VALUE",
    ),
    "tfvars in JSON": (
        balancer("var.idle", VARIABLE.format(type="number", default="1")),
        {"terraform.tfvars.json": '{"other": 1, "idle": VALUE}'},
        "VALUE",
    ),
    "override file": (
        balancer("1"),
        {"net_override.tf": 'resource "aws_lb" "this" {\n  idle_timeout = VALUE\n}\n'},
        "VALUE",
    ),
    "local": (balancer("local.idle", "locals {\n  idle = VALUE\n}\n"), {}, "VALUE"),
    "local of a variable": (
        balancer(
            "local.idle", "locals {\n  idle = var.idle\n}\n" + VARIABLE.format(type="number", default="VALUE")
        ),
        {},
        "VALUE",
    ),
    "object in a local": (balancer("local.t.lb", "locals {\n  t = { a = 1, lb = VALUE }\n}\n"), {}, "VALUE"),
    "list in a local": (balancer("local.t[1]", "locals {\n  t = [1, VALUE]\n}\n"), {}, "VALUE"),
    "conditional": (balancer("true ? VALUE : 1"), {}, "VALUE"),
    "second conditional of a chain": (balancer("false ? 1 : 2 > 1 ? VALUE : 3"), {}, "VALUE"),
    "coalesce": (balancer("coalesce(null, VALUE)"), {}, "VALUE"),
    "try": (balancer("try(local.t.none, VALUE)", "locals {\n  t = {}\n}\n"), {}, "VALUE"),
    "lookup": (balancer('lookup({ prod = VALUE }, "prod", 1)'), {}, "VALUE"),
    "lookup's default": (balancer('lookup({ prod = 1 }, "dev", VALUE)'), {}, "VALUE"),
    "merge": (balancer("merge({ lb = 1 }, { lb = VALUE }).lb"), {}, "VALUE"),
    "tonumber": (balancer('tonumber("VALUE")'), {}, "VALUE"),
    "tostring of a local": (balancer("tostring(local.idle)", "locals {\n  idle = VALUE\n}\n"), {}, "VALUE"),
    "optional attribute": (
        balancer("var.idle.lb", VARIABLE.format(type="object({ lb = optional(any, VALUE) })", default="{}")),
        {},
        "VALUE",
    ),
    "another resource's attribute": (
        balancer("aws_lb.other.idle_timeout", 'resource "aws_lb" "other" {\n  count        = 0\n}\n').replace(
            "count        = 0", "idle_timeout = VALUE"
        ),
        {},
        "VALUE",
    ),
    "computed": (balancer("max(0, VALUE)"), {}, "max(0, VALUE)"),
    "computed in a local": (balancer("local.idle", "locals {\n  idle = VALUE * 1\n}\n"), {}, "local.idle"),
    "computed text": (balancer('"0${local.b}"', "locals {\n  b = VALUE\n}\n"), {}, '"0${local.b}"'),
}  # fmt: skip


def the_timeout(tree: dict[str, str]) -> Read:
    found = [lb for lb in read(tree).load_balancers if lb.address == "aws_lb.this"]
    assert len(found) == 1
    return found[0].idle_timeout


@pytest.mark.parametrize("name", PLACEMENTS)
@given(before=st.integers(0, 4000), after=st.integers(0, 4000))
def test_edit_at_the_site_is_read_back_for_every_placement(name: str, before: int, after: int) -> None:
    main, others, replaced = PLACEMENTS[name]
    tree = {
        f"infra/{file}": text.replace("VALUE", str(before))
        for file, text in {"main.tf": main, **others}.items()
    }
    found = the_timeout(tree)
    assert seconds(found) == before
    assert isinstance(found, Explicit)
    assert found.site is not None
    assert written(tree, found.site).split(" ", 1)[1] == replaced.replace("VALUE", str(before))
    again = the_timeout(edited(tree, found.site, after))
    assert seconds(again) == after


@pytest.mark.parametrize("name", [n for n, (*_, replaced) in PLACEMENTS.items() if replaced == "VALUE"])
def test_steps_go_from_the_use_to_the_literal(name: str) -> None:
    main, others, _ = PLACEMENTS[name]
    tree = {
        f"infra/{file}": text.replace("VALUE", "4711") for file, text in {"main.tf": main, **others}.items()
    }
    found = the_timeout(tree)
    assert isinstance(found, Explicit)
    steps = found.origin.steps
    texts = [tree[s.span.file].encode()[s.span.start : s.span.end].decode() for s in steps]
    assert steps[0].what == "idle_timeout"
    assert steps[0].span.line == (3 if name != "override file" else 2)
    assert texts[-1].strip('"') == "4711"
    assert len(set(steps)) == len(steps)


def test_steps_name_every_hop_between() -> None:
    main = balancer(
        "local.idle", "locals {\n  idle = var.idle\n}\n" + VARIABLE.format(type="number", default="60")
    )
    assert said(idle_timeout(read_text(main))) == (
        "60 s: main.tf:3 idle_timeout <- main.tf:6 local.idle <- main.tf:10 var.idle"
    )
    computed = balancer("local.idle * 2", "locals {\n  idle = 30\n}\n")
    assert said(idle_timeout(read_text(computed))) == "60 s: main.tf:3 idle_timeout <- main.tf:6 local.idle"
    chosen = balancer("var.big ? 120 : 60", 'variable "big" {\n  default = true\n}\n')
    assert said(idle_timeout(read_text(chosen))) == "120 s: main.tf:3 idle_timeout <- main.tf:3 120"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("-1", "-1 is not a whole number of seconds"),
        ("1.5", "1.5 is not a whole number of seconds"),
        ('"sixty"', "'sixty' is not a number"),
        ("true", "a bool where a number is needed"),
        ("[60]", "a list or object where a number is needed"),
        ("1 / 0", "division by zero"),
        ("local.none", "local.none is not declared"),
        ("var.none", "var.none is not declared"),
        ("aws_lb.this.id", "aws_lb.this.id is known only after apply"),
        ("data.aws_x.y.z", "data.aws_x.y.z is known only after apply"),
        ("bcrypt(1)", "bcrypt() at infra/main.tf:3:18 is not evaluated"),
        ("terraform.workspace == 1 ? 1 : 2",
         "its condition is not known: terraform.workspace is chosen when Terraform is run"),
    ],
)  # fmt: skip
def test_what_is_no_whole_number_of_seconds_is_unknown_with_the_reason(expression: str, reason: str) -> None:
    found = idle_timeout(read_text(balancer(expression)))
    assert isinstance(found, Unknown)
    assert found.reason == reason
    assert found.origin.use is not None
    assert found.origin.use.place == "infra/main.tf:3:18"


def test_null_and_nothing_are_both_absent() -> None:
    assert said(idle_timeout(read_text(balancer("null")))) == "absent"
    assert said(idle_timeout(read_text('resource "aws_lb" "this" {\n}\n'))) == "absent"


NULLS = {
    "in place": (balancer("null"), {}),
    "variable default": (balancer("var.idle", VARIABLE.format(type="number", default="null")), {}),
    "terraform.tfvars": (
        balancer("var.idle", VARIABLE.format(type="number", default="60")),
        {"terraform.tfvars": "idle = null\n"},
    ),
    "chosen": (balancer('var.idle == "" ? 60 : null', VARIABLE.format(type="string", default='"x"')), {}),
}


@pytest.mark.parametrize("name", NULLS)
def test_null_is_replaced_by_what_is_written(name: str) -> None:
    text, more = NULLS[name]
    tree = {"infra/main.tf": text} | {f"infra/{file}": content for file, content in more.items()}
    found = idle_timeout(read(tree))
    assert isinstance(found, Absent)
    assert found.site is not None
    assert seconds(idle_timeout(read(edited(tree, found.site, 77)))) == 77


ABSENT_IN_BLOCK = {
    "last argument": ("resource_ {\n  name = 1\n}\n", "resource_ {\n  name = 1\n  idle_timeout = 7\n}\n"),
    "aligned": (
        "resource_ {\n  load_balancer_type = 1\n}\n",
        "resource_ {\n  load_balancer_type = 1\n  idle_timeout       = 7\n}\n",
    ),
    "comment behind": (
        "resource_ {\n  name = 1 # edge\n\n  access_logs {\n    a = 1\n  }\n}\n",
        "resource_ {\n  name = 1 # edge\n  idle_timeout = 7\n\n  access_logs {\n    a = 1\n  }\n}\n",
    ),
    "heredoc": (
        "resource_ {\n  name = <<E\nx\nE\n}\n",
        "resource_ {\n  name = <<E\nx\nE\n  idle_timeout = 7\n}\n",
    ),
    "list over lines": (
        "resource_ {\n\tname = [\n\t\t1,\n\t]\n}\n",
        "resource_ {\n\tname = [\n\t\t1,\n\t]\n\tidle_timeout = 7\n}\n",
    ),
    "empty": ("resource_ {\n}\n", "resource_ {\n  idle_timeout = 7\n}\n"),
    "empty on one line": ("resource_ {}\n", "resource_ {\n  idle_timeout = 7\n}\n"),
    "CRLF": (
        "resource_ {\r\n  name = 1\r\n}\r\n",
        "resource_ {\r\n  name = 1\r\n  idle_timeout = 7\r\n}\r\n",
    ),
}


@pytest.mark.parametrize("name", ABSENT_IN_BLOCK)
def test_absent_argument_is_written_behind_the_last_one(name: str) -> None:
    before, after = (text.replace("resource_", 'resource "aws_lb" "this"') for text in ABSENT_IN_BLOCK[name])
    found = idle_timeout(read({"infra/main.tf": before}))
    assert isinstance(found, Absent)
    assert found.site is not None
    tree = edited({"infra/main.tf": before}, found.site, 7)
    assert tree["infra/main.tf"] == after
    assert seconds(idle_timeout(read(tree))) == 7


def test_absent_argument_of_a_block_on_one_line_has_no_site() -> None:
    """HCL allows one argument on one line, so there is no place for a second."""
    found = idle_timeout(read_text('resource "aws_lb" "this" { name = "x" }\n'))
    assert found == Absent("idle_timeout")


ABSENT_IN_OBJECT = {
    "lines": (
        '{\n    name  = "a"\n    image = 1\n  }',
        '{\n    name  = "a"\n    image = 1\n    stopTimeout = 7\n  }',
    ),
    "aligned": (
        "{\n    name         = \"a\"\n    portMappings = []\n  }",
        "{\n    name         = \"a\"\n    portMappings = []\n    stopTimeout  = 7\n  }",
    ),
    "lines with commas": (
        "{\n    name = \"a\",\n    image = 1, # x\n  }",
        "{\n    name = \"a\",\n    image = 1, # x\n    stopTimeout = 7,\n  }",
    ),
    "one line": ('{ name = "a", image = 1 }', '{ name = "a", image = 1, stopTimeout = 7 }'),
    "one line with a comma": ('{ name = "a", }', '{ name = "a", stopTimeout = 7, }'),
    "JSON style": ('{ "name" : "a" }', '{ "name" : "a", stopTimeout: 7 }'),
    "merged": ('merge({ a = 1 }, { name = "a" })', 'merge({ a = 1 }, { name = "a", stopTimeout = 7 })'),
}  # fmt: skip


@pytest.mark.parametrize("name", ABSENT_IN_OBJECT)
def test_absent_element_is_written_in_the_object_s_own_style(name: str) -> None:
    before, after = (task(f"jsonencode([{text}])") for text in ABSENT_IN_OBJECT[name])
    found = container(read_text(before), "a").stop_timeout
    assert isinstance(found, Absent)
    assert found.site is not None
    tree = edited({"infra/main.tf": before}, found.site, 7)
    assert tree["infra/main.tf"] == after
    assert seconds(container(read(tree), "a").stop_timeout) == 7


@pytest.mark.parametrize("text", ['[{"name": "a"}]', '[\n  {\n    "name": "a",\n    "cpu": 1\n  }\n]'])
def test_absent_element_of_json_text_is_written_as_json(text: str) -> None:
    before = {"infra/main.tf": task(f"<<-E\n{text}\n  E")}
    found = container(read(before), "a").stop_timeout
    assert isinstance(found, Absent)
    assert found.site is not None
    assert seconds(container(read(edited(before, found.site, 7)), "a").stop_timeout) == 7


@pytest.mark.parametrize(
    ("json", "replaced"),
    [
        ('"stopTimeout": 20', "20"),
        ('"stopTimeout": ${var.stop}', "20"),
        ('"stopTimeout": ${var.stop + 1}', "${var.stop + 1}"),
        ('"stopTimeout": ${jsonencode(var.stop)}', "20"),
    ],
)
def test_edit_in_json_text_is_read_back(json: str, replaced: str) -> None:
    tree = {
        "infra/main.tf": task(f'<<E\n[{{"name": "a", {json}}}]\nE', 'variable "stop" {\n  default = 20\n}\n')
    }
    found = container(read(tree), "a").stop_timeout
    assert isinstance(found, Explicit)
    assert found.site is not None
    assert written(tree, found.site).split(" ", 1)[1] == replaced
    assert seconds(container(read(edited(tree, found.site, 45)), "a").stop_timeout) == 45


@pytest.mark.parametrize(
    ("expression", "rest"),
    [
        ('["a"]', ""),
        ('["a",\n  "b", # last\n  ]', ""),
        ("local.c", 'locals {\n  c = ["a", "b"]\n}\n'),
        ('concat(local.c, ["x"])', 'locals {\n  c = ["a", "b"]\n}\n'),
        ('concat(["x"], local.c)', 'locals {\n  c = ["a", "b"]\n}\n'),
        ("var.c", 'variable "c" {\n  type    = list(string)\n  default = ["a"]\n}\n'),
        ("true ? local.c : []", 'locals {\n  c = ["a", "b"]\n}\n'),
    ],
)
def test_words_appended_to_a_command_are_read_back(expression: str, rest: str) -> None:
    tree = {"infra/main.tf": task(f'jsonencode([{{ name = "a", command = {expression} }}])', rest)}
    found = container(read(tree), "a")
    assert found.command is not None
    assert found.command.append_at is not None
    data = tree["infra/main.tf"].encode()
    at = found.command.append_at.start
    tree["infra/main.tf"] = (data[:at] + b', "--keep-alive", "7"' + data[at:]).decode()
    assert words(container(read(tree), "a")) == [*words(found), "--keep-alive", "7"]


def test_command_that_no_literal_ends_has_no_place_for_more_words() -> None:
    for expression in ("[]", 'split(" ", "a b")', '[for x in ["a"] : x]', 'concat(["a"], [])'):
        found = container(read_text(task(f'jsonencode([{{ name = "a", command = {expression} }}])')), "a")
        assert found.command is not None
        assert found.command.append_at is None
