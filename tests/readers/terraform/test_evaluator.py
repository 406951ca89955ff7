"""Expressions to values, seen through one timeout or one name."""

from __future__ import annotations

import pytest
from tests.readers.terraform.support import balancer, idle_timeout, read_text, said, seconds

LOCALS = """
locals {
  one    = 1
  name   = "edge"
  list   = ["a", "b", "c"]
  map    = { b = 2, a = 1 }
  nested = [{ name = "x", n = 1 }, { name = "y", n = 2 }]
}
"""


def evaluated(expression: str, rest: str = "") -> str | None:
    """The text that an expression comes to; None when it is null or not known."""
    text = f'resource "aws_lb" "this" {{\n  name = {expression}\n}}\n{LOCALS}{rest}'
    return read_text(text).load_balancers[0].name


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Operators, with HCL's precedence
        ("1 + 2 * 3 - 4", "3"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3.5"),
        ("6 / 2", "3"),
        ("-7 % 4", "-3"),
        ("-local.one + 3", "2"),
        ("1 < 2 == true", "true"),
        ("!true || 2 >= 2 && 1 != 1", "false"),
        ('"1" == 1', "false"),
        ("null == null", "true"),
        ('local.list == ["a", "b", "c"]', "true"),
        ("1e3", "1000"),
        ("1.50", "1.5"),
        # Conditionals are right-associative
        ('true ? "a" : false ? "b" : "c"', "a"),
        ('false ? "a" : false ? "b" : true ? "c" : "d"', "c"),
        ('true ? false ? "a" : "b" : "c"', "b"),
        # Unknown operands that do not matter
        ("false && terraform.workspace", "false"),
        ("terraform.workspace || true", "true"),
        # Templates
        ('"${local.name}-${local.one}"', "edge-1"),
        ('"100% $5 $${x} %%{y} \\t\\u00e9\\"\\\\"', '100% $5 ${x} %{y} \té"\\'),
        ('"%{ if local.one == 1 }yes%{ else }no%{ endif }"', "yes"),
        ('"%{ if false }yes%{ endif }."', "."),
        ('"%{ for x in local.list }<${x}>%{ endfor }"', "<a><b><c>"),
        ('"%{ for i, x in local.list }${i}${x} %{ endfor }"', "0a 1b 2c "),
        ('"a ${~ local.name ~} b"', "aedgeb"),
        ('"a%{ if true ~} b %{~ endif }c"', "abc"),
        ("<<E\n  a ${local.name}\n   b\nE\n", "  a edge\n   b\n"),
        ("<<-E\n    a ${local.name}\n      b\n\n    c\n    E\n", "a edge\n  b\n\nc\n"),
        ("<<-E\n    %{ for x in local.list ~}\n    ${x}\n    %{ endfor ~}\n    E\n", "a\nb\nc\n"),
        # Access
        ("local.list[1]", "b"),
        ("local.list.1", "b"),
        ('local.map["a"]', "1"),
        ("local.nested[1].name", "y"),
        ("local.nested[*].name", None),
        ("local.nested[*].name[1]", None),
        ("local.nested.*.name[1]", "y"),
        ('join(",", local.nested[*].name)', "x,y"),
        ('join(",", local.name[*])', "edge"),
        ("length(null[*])", "0"),
        ('{ "a b" = 1, (local.name) = 2, "${local.name}-x" = 3 }["edge-x"]', "3"),
        # for
        ('join(",", [for x in local.list : upper(x) if x != "b"])', "A,C"),
        ('join(",", [for i, x in local.list : "${i}${x}"])', "0a,1b,2c"),
        ('join(",", [for k, v in local.map : "${k}${v}"])', "a1,b2"),
        ('{ for x in local.nested : x.name => x.n }["y"]', "2"),
        ('length({ for x in ["a", "a", "b"] : x => 1... }["a"])', "2"),
        # try and can
        ('try(local.map.none, local.map.b, "x")', "2"),
        ('try(tonumber("x"), 5)', "5"),
        ("can(local.map.none)", "false"),
        ("can(local.map.a)", "true"),
        # Paths
        ("path.module", "."),
        # Unknown things are no text
        ("local.list[7]", None),
        ("local.map.none", None),
        ("null", None),
        ("try(terraform.workspace, 1)", None),
        ("1 == 1 ? terraform.workspace : 2", None),
        ('"${terraform.workspace}-x"', None),
        ("uuid()", None),
    ],
)
def test_expression_comes_to(expression: str, expected: str | None) -> None:
    assert evaluated(expression) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("abs(-5)", "5"),
        ("ceil(4.1)", "5"),
        ("floor(4.9)", "4"),
        ("max(5, 12, 9)", "12"),
        ("max([5, 12]...)", "12"),
        ("min(12, 9)", "9"),
        ("sum([1, 2, 3])", "6"),
        ('parseint("1a", 16)', "26"),
        ('coalesce(null, "", "x")', "x"),
        ('compact(["", "a", null])[0]', "a"),
        ('concat(["a"], ["b"], [])[1]', "b"),
        ('contains(["a"], "a")', "true"),
        ('contains([1], "1")', "false"),
        ('length(distinct(["a", "b", "a"]))', "2"),
        ('element(["a", "b"], 3)', "b"),
        ('flatten([["a"], [["b"], []]])[1]', "b"),
        ('format("%s-%03d-%.1f-%%-%v", "a", 7, 1.25, true)', "a-007-1.2-%-true"),
        ('format("%5s|%-3s|", "a", "b")', "    a|b  |"),
        ('join("-", ["a", 1, true])', "a-1-true"),
        ('jsonencode({ b = [1, null], a = "<x>" })', '{"a":"\\u003cx\\u003e","b":[1,null]}'),
        ('jsondecode("{\\"a\\": [1, {\\"b\\": 2}]}").a[1].b', "2"),
        ("jsondecode(jsonencode({ a = 5 })).a", "5"),
        ("keys({ b = 1, a = 2 })[0]", "a"),
        ("values({ b = 1, a = 2 })[0]", "2"),
        ('length("añb")', "3"),
        ('lookup({ a = 1 }, "b", 9)', "9"),
        ('lower("AB")', "ab"),
        ('upper("ab")', "AB"),
        ("merge({ a = 1, b = 1 }, null, { b = 2 }).b", "2"),
        ('one(["x"])', "x"),
        ("one([])", None),
        ("range(3)[2]", "2"),
        ("length(range(5, 1))", "4"),
        ('replace("a-b-c", "-", "+")', "a+b+c"),
        ('replace("a-b", "/b/", "x")', None),
        ('reverse(["a", "b"])[0]', "b"),
        ('slice(["a", "b", "c"], 1, 3)[1]', "c"),
        ('sort(["b", "a"])[0]', "a"),
        ('split(",", "a,b")[1]', "b"),
        ('substr("hello", 1, 3)', "ell"),
        ('tobool("true")', "true"),
        ('tolist(["a"])[0]', "a"),
        ("tomap({ a = 1 }).a", "1"),
        ('tonumber("05.50")', "5.5"),
        ('length(toset(["a", "a"]))', "1"),
        ("tostring(5)", "5"),
        ('trimspace("  a ")', "a"),
        ('trimprefix("ab", "a")', "b"),
        ('trimsuffix("ab", "b")', "a"),
        ('startswith("ab", "a") && endswith("ab", "b")', "true"),
        ("alltrue([true, true]) && !anytrue([false])", "true"),
        ('zipmap(["a", "b"], [1, 2]).b', "2"),
        ("sensitive(5)", "5"),
        ("core::max(1, 2)", "2"),
        ('yamldecode("a: 1").a', "1"),
        ('yamldecode("a: [1, two]").a[1]', "two"),
        ('yamldecode("a: {").a', None),
        ('yamldecode("a: 1\\n---\\nb: 2").a', None),
        ('try([{}.gone], ["else"])[0]', "else"),
        ("can({ a = [1, {}.gone] })", "false"),
        ("can({ a = [1] })", "true"),
        ('title("hello world")', "Hello World"),
        ('chomp("x\\n")', "x"),
        ('trim("--x--", "-")', "x"),
        ('basename("a/b.json")', "b.json"),
        ('dirname("a/b.json")', "a"),
        ('join(",", formatlist("%s-%d", ["a", "b"], 1))', "a-1,b-1"),
        ('join(",", formatlist("%s%s", ["a", "b"], ["c"]))', None),
        ('index(["a", "b"], "b")', "1"),
        ('index(["a"], "b")', None),
        ('join(",", setunion(["a"], ["a", "b"]))', "a,b"),
        ('join(",", setsubtract(["a", "b"], ["a"]))', "b"),
        ('keepalign::given({ a = 1 }, "a", 2)', "1"),
        ('keepalign::given({}, "a", 2)', "2"),
        ('keepalign::optional({ a = null }, "a", 2)', "2"),
        ("max()", None),
        ("element([], 0)", None),
        ('join("-")', ""),
    ],
)
def test_function_gives(call: str, expected: str | None) -> None:
    assert evaluated(call) == expected


def test_cycle_of_locals_is_unknown_and_named() -> None:
    text = balancer("local.a", "locals {\n  a = local.b\n  b = local.c + 1\n  c = local.a\n}\n")
    assert said(idle_timeout(read_text(text))) == "unknown: local.a depends on itself"


def test_value_beside_a_cycle_is_still_known() -> None:
    text = balancer("try(local.a, 1) + local.d", "locals {\n  a = local.b\n  b = local.a\n  d = 5\n}\n")
    assert seconds(idle_timeout(read_text(text))) == 6


@pytest.mark.parametrize(
    ("declared", "given", "expression", "expected"),
    [
        ("number", '"5"', "var.x == 5", "true"),
        ("string", "5", 'var.x == "5"', "true"),
        ("list(string)", "[1]", 'var.x[0] == "1"', "true"),
        ("set(string)", '["a"]', "length(var.x)", "1"),
        ("map(number)", '{ a = "2" }', "var.x.a + 1", "3"),
        ("tuple([string, number])", '["a", "2"]', "var.x[1] + 1", "3"),
        ("object({ a = number })", '{ a = 1, b = 2 }', "try(var.x.b, 9)", "9"),
        ("object({ a = optional(number) })", "{}", "var.x.a == null", "true"),
        ("object({ a = optional(number, 4) })", "{ a = null }", "var.x.a", "4"),
        ("object({ a = optional(object({ b = optional(number, 4) }), {}) })", "{}", "var.x.a.b", "4"),
        ("object({ a = number })", "{}", "var.x.a", None),
        ("number", '"x"', "var.x", None),
        ("any", "5", "var.x", "5"),
    ],
)  # fmt: skip
def test_variable_is_converted_to_its_type(
    declared: str, given: str, expression: str, expected: str | None
) -> None:
    rest = f'variable "x" {{\n  type    = {declared}\n  default = {given}\n}}\n'
    assert evaluated(expression, rest) == expected


def test_variable_that_is_not_nullable_takes_its_default_for_null() -> None:
    rest = 'variable "x" {\n  default = 5\n  nullable = NULLABLE\n}\n'
    tree = balancer("var.x", rest.replace("NULLABLE", "false"))
    assert seconds(idle_timeout(read_text(tree, terraform__tfvars="x = null\n"))) == 5
    tree = balancer("var.x", rest.replace("NULLABLE", "true"))
    assert said(idle_timeout(read_text(tree, terraform__tfvars="x = null\n"))) == "absent"


def test_variable_without_a_value_is_unknown_and_says_what_would_set_it() -> None:
    text = balancer("var.x", 'variable "x" {\n  type = number\n}\n')
    assert said(idle_timeout(read_text(text))) == (
        "unknown: var.x has no default and no value in terraform.tfvars"
    )
