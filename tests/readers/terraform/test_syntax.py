"""What is valid HCL and what is not, and where the first error is."""

from __future__ import annotations

import pytest
from tests.readers.terraform.support import balancer, idle_timeout, read_text, seconds

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers.terraform import syntax

VALID = {
    "empty": "",
    "comments": "# a\n// b\n/* c\n d */\n",
    "no line end at the end": "a = 1",
    "CRLF": 'a = 1\r\nb {\r\n  c = "d"\r\n}\r\n',
    "byte order mark": "\ufeffa = 1\n",
    "one-line blocks": "a {}\nb { c = 1 }\n",
    "labels with and without quotes": 'resource aws_lb "x" {\n}\n',
    "exponent": "a = 1e3\nb = 1.5E-3\n",
    "spread with a comma behind": "a = max(b...,)\n",
    "function call over lines": "a = max(\n  1,\n  2,\n)\n",
    "operator at a line's begin in parentheses": "a = (\n  1\n  + 2\n)\n",
    "conditional over lines in parentheses": "a = (\n  b\n  ? 1\n  : 2\n)\n",
    "objects": 'a = { b = 1, "c" : 2\n  (d) = 3 # x\n  e.f = 4, }\n',
    "object on several lines with commas": "a = {\n  b = 1,\n  c = 2\n}\n",
    "heredoc as an argument": "a = f(<<E\nx\nE\n, 1)\n",
    "heredoc with quotes and dollars": 'a = <<E\n"x" $ % $${y} ${z["w"]}\nE\n',
    "strings": 'a = "$ $${b} %%{c} \\" \\\\ \\u00e9 {"\n',
    "nested quotes": 'a = "${b["c"]}${"${d}"}"\n',
    "legacy index and splats": "a = b.0.c\nd = e.*.f\ng = h[*].i[0]\n",
    "for": "a = [for k, v in b : v if k != c]\nd = { for x in e : x => x... }\n",
    "provider functions": "a = provider::aws::arn_parse(b)\n",
    "names with dashes": "a-b = c-d - e\n",
    "keywords as names": "a = { null = 1, if = 2, in = 3 }\nfor = 1\n",
    "not ASCII": 'a = "日本" # ü\nb = "${c}é"\n',
}


@pytest.mark.parametrize("name", VALID)
def test_valid_hcl_is_accepted(name: str) -> None:
    body = syntax.parse(SourceText("x.tf", VALID[name].encode()))
    for attribute in body.attributes.values():
        assert attribute.expr.end <= attribute.end


STACK = """locals {
  a = 1
}

resource "aws_lb" "this" {
  name         = "edge"
  idle_timeout = 60
  subnets      = ["a", "b"]
  tags = {
    x = 1
  }
}

resource "aws_lb" "that" {
  name = "b"
}
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ('"edge"', '"edge', "6:18", "this quote is not closed on its line"),
        ("= 60", "60", "7:16", "near '60'"),
        ("= 60", "= ", "7:16", "near '='"),
        ("= 60", "= var.", "7:16", "near '= var.'"),
        ("= 60", "= '60'", "7:18", "near \"'60'\""),
        ("= 60", "= 60;", "7:18", "near '60;'"),
        ("= 60", "= ${var.x}", "7:18", "near '${var.x}'"),
        ("= 60", '= "\\d"', "7:19", "near '\\\\d"),
        ("= 60", "= 60 name = 1", "7:21", "a second definition on the same line"),
        ("= 60", "= 60\n  name = 1", "8:3", "name is set twice: here and in line 6"),
        ('"a", "b"', '"a" "b"', "8:19", 'near \'"a" "b"]\''),
        ('["a", "b"]', '["a", "b"', "9:3", "] is missing here"),
        ("  }\n}\n", "  }\n", "16:1", "} is missing here"),
        ("  }\n}\n", "  }\n}\n}\n", "13:1", "near '}'"),
        ('"that"', '"this"', "14:1", "resource aws_lb this is declared twice: here and at infra/main.tf:5:1"),
    ],
)
def test_first_error_is_named_with_line_and_column(old: str, new: str, place: str, message: str) -> None:
    with pytest.raises(ReadError) as caught:
        read_text(STACK.replace(old, new, 1))
    assert caught.value.place == f"infra/main.tf:{place}"
    assert message in caught.value.message
    assert caught.value.hint or "digits" not in message


def test_file_that_is_not_utf8_is_refused_at_its_byte() -> None:
    with pytest.raises(ReadError) as caught:
        syntax.parse(SourceText("infra/main.tf", b'a = "ok"\nb = "\xe9"\n'))
    assert caught.value.place == "infra/main.tf:2:6"
    assert "not UTF-8" in caught.value.message


def test_spans_behind_a_byte_order_mark_and_wide_characters_are_exact() -> None:
    text = "\ufeff# ü\n" + balancer("/* é */ 60").replace('"edge"', '"日本"')
    found = idle_timeout(read_text(text))
    assert seconds(found) == 60
    assert found.site is not None
    span = found.site.span
    assert text.encode()[span.start : span.end] == b"60"
    assert (span.line, span.column) == (4, 26)


def test_error_in_tfvars_names_that_file() -> None:
    with pytest.raises(ReadError) as caught:
        read_text("", terraform__tfvars="idle = \n")
    assert caught.value.file == "infra/terraform.tfvars"
    with pytest.raises(ReadError) as caught:
        read_text("", x__auto__tfvars__json='{"a": }')
    assert caught.value.file == "infra/x.auto.tfvars.json"


def test_error_in_a_file_of_values_quotes_none_of_them() -> None:
    with pytest.raises(ReadError, match=r"invalid HCL$") as caught:
        syntax.parse(SourceText("terraform.tfvars", b"password = hunter2 hunter2\n"))
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
