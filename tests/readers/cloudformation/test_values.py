"""What expressions are worth, through every intrinsic function that a timeout is written with."""

from __future__ import annotations

import pytest
from tests.readers.cloudformation.support import balancer, idle, reason, seconds, stack, steps
from tests.readers.sites import text_at, written

from keepalign.model.setting import Explicit, Unknown
from keepalign.readers._reader import Absent

KEY = "idle_timeout.timeout_seconds"
NO_DEFAULT = "parameter Environment has no Default; a parameter file beside the template gives one"
DECIDED = "condition IsProd is decided at deploy"
PARAMETER = """
Parameters:
  IdleTimeout:
    Type: Number
    Default: 60
"""
ENVIRONMENTS = """
Parameters:
  Environment:
    Type: String
    Default: dev
Conditions:
  IsProd: !Equals [!Ref Environment, prod]
Mappings:
  Timeouts:
    dev: {Idle: 30}
    prod: {Idle: 300}
"""
OPEN = """
Parameters:
  Environment:
    Type: String
Conditions:
  IsProd: !Equals [!Ref Environment, prod]
Mappings:
  Timeouts:
    dev: {Idle: 30}
    prod: {Idle: 300}
  Alike:
    dev: {Idle: 45}
    prod: {Idle: 45}
"""


@pytest.mark.parametrize(
    ("value", "before", "expected", "how"),
    [
        ("60", "", 60, [KEY]),
        ("'60'", "", 60, [KEY]),
        ("!Ref IdleTimeout", PARAMETER, 60, [KEY, "Default of parameter IdleTimeout"]),
        ('!Sub "${IdleTimeout}"', PARAMETER, 60, [KEY, "Default of parameter IdleTimeout"]),
        ("{Ref: IdleTimeout}", PARAMETER, 60, [KEY, "Default of parameter IdleTimeout"]),
        ("!Sub '60'", "", 60, [KEY, "60"]),
        ("!Join ['', [6, 0]]", "", 60, [KEY]),
        ("!Select [1, [30, 60]]", "", 60, [KEY]),
        ("!Select [1, !Split ['/', 30/60]]", "", 60, [KEY]),
        ("!FindInMap [Timeouts, !Ref Environment, Idle]", ENVIRONMENTS, 30,
         [KEY, "Default of parameter Environment", "mapping Timeouts.dev.Idle"]),
        ("!If [IsProd, 300, 60]", ENVIRONMENTS, 60,
         [KEY, "condition IsProd does not hold", "60"]),
        ("!FindInMap [Alike, !Ref Environment, Idle]", OPEN, 45, [KEY]),
        ("!If [IsProd, 60, '60']", OPEN, 60, [KEY]),
    ],
)  # fmt: skip
def test_value_and_its_way_are_known(value: str, before: str, expected: int, how: list[str]) -> None:
    read = idle(balancer(value, before=before))
    assert seconds(read) == expected
    assert steps(read) == how


@pytest.mark.parametrize(
    ("value", "before", "why"),
    [
        ("!Ref Nothing", "", "Nothing is neither a parameter nor a resource of stack.yaml"),
        ("!Ref AWS::Region", "", "AWS::Region is known when it is deployed"),
        ("!Ref Environment", OPEN, NO_DEFAULT),
        ("!If [IsProd, 300, 60]", OPEN, f"{DECIDED}: 300 or 60"),
        ("!If [IsProd, 300, !Ref AWS::NoValue]", OPEN, f"{DECIDED}: 300 or nothing"),
        ("!If [IsProd, letmein, 60]", OPEN, DECIDED),
        ("!FindInMap [Timeouts, !Ref Environment, Idle]", OPEN,
         f"which entry of mapping Timeouts counts is not known: {NO_DEFAULT}"),
        ("'{{resolve:ssm:/idle}}'", "", "it is looked up when it is deployed ({{resolve:…}})"),
        ("!ImportValue idle", "", "the export idle is not in the given folders"),
        ("!GetAtt LoadBalancer.DNSName", "",
         "LoadBalancer is a resource, and only a deploy knows its values"),
        ("!Base64 '60'", "", "Fn::Base64 is computed when it is deployed"),
        ("letmein", "", "what is written is not a whole number of seconds"),
        ("-1", "", "what is written is not a whole number of seconds"),
        ("60.5", "", "what is written is not a whole number of seconds"),
    ],
)  # fmt: skip
def test_unknown_value_says_why(value: str, before: str, why: str) -> None:
    assert reason(idle(balancer(value, before=before))) == why


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("Type: AWS::SSM::Parameter::Value<String>", "parameter P is looked up in the parameter store"),
        ("Type: String\n    NoEcho: true", "parameter P is NoEcho, so it is never read"),
    ],
)
def test_hidden_parameter_is_not_read(kind: str, why: str) -> None:
    read = idle(balancer("!Ref P", before=f"Parameters:\n  P:\n    {kind}\n    Default: 77\n"))
    assert reason(read) == why
    assert "77" not in repr(read)


def test_explicit_zero_is_no_unknown() -> None:
    assert seconds(idle(balancer("0"))) == 0


def test_edit_goes_to_the_default_of_the_parameter() -> None:
    text = balancer("!Ref IdleTimeout", before=PARAMETER)
    fragment, source = stack(text)
    after = written(source, fragment.load_balancers[0].idle_timeout.site, 120)
    assert after.data.decode() == text.replace("Default: 60", "Default: 120")


@pytest.mark.parametrize("bound", ["MaxValue: 60", "AllowedValues: [30, 60]"])
def test_edit_of_a_bounded_parameter_goes_to_its_use(bound: str) -> None:
    """Another Default could lie outside of what the parameter allows."""
    text = balancer("!Ref IdleTimeout", before=f"{PARAMETER.rstrip()}\n    {bound}\n")
    fragment, source = stack(text)
    read = fragment.load_balancers[0].idle_timeout
    assert seconds(read) == 60
    after = written(source, read.site, 120)
    assert after.data.decode() == text.replace("!Ref IdleTimeout", "120")


def test_edit_of_a_mapped_value_goes_to_the_mapping() -> None:
    text = balancer("!FindInMap [Timeouts, !Ref Environment, Idle]", before=ENVIRONMENTS)
    fragment, source = stack(text)
    read = fragment.load_balancers[0].idle_timeout
    assert isinstance(read, Explicit)
    assert text_at(source, read.origin.literal) == "30"
    assert written(source, read.site, 120).data.decode() == text.replace("{Idle: 30}", "{Idle: 120}")


def test_edit_of_a_chosen_value_goes_to_its_branch() -> None:
    text = balancer("!If [IsProd, 300, 60]", before=ENVIRONMENTS)
    fragment, source = stack(text)
    after = written(source, fragment.load_balancers[0].idle_timeout.site, 120)
    assert after.data.decode() == text.replace("300, 60]", "300, 120]")


def test_edit_of_an_undecided_value_replaces_the_condition() -> None:
    text = balancer("!If [IsProd, 300, 60]", before=OPEN)
    fragment, source = stack(text)
    read = fragment.load_balancers[0].idle_timeout
    assert isinstance(read, Unknown)
    assert written(source, read.site, 120).data.decode() == text.replace("!If [IsProd, 300, 60]", "120")


@pytest.mark.parametrize(
    ("conditions", "there"),
    [
        ("Wanted: !Equals [a, a]", True),
        ("Wanted: !Equals [a, b]", False),
        ("Wanted: !Not [!Equals [a, b]]", True),
        ("Wanted: !And [!Equals [a, a], !Condition Other]\n  Other: !Equals [a, b]", False),
        ("Wanted: !Or [!Equals [a, !Ref AWS::Region], !Condition Other]\n  Other: !Equals [a, a]", True),
        ("Wanted: !Or [!Equals [a, !Ref AWS::Region], Condition: Other]\n  Other: !Equals [a, b]", True),
        ("Wanted: !Condition Other\n  Other: !Condition Wanted", True),
        ("Other: !Equals [a, a]", True),
    ],
)
def test_resource_exists_unless_its_condition_is_false(conditions: str, there: bool) -> None:
    text = balancer("60", before=f"Conditions:\n  {conditions}\n")
    text = text.replace("LoadBalancer:\n", "LoadBalancer:\n    Condition: Wanted\n") + (
        "  Other:\n    Type: AWS::ElasticLoadBalancingV2::LoadBalancer\n    Properties: {Name: other}\n"
    )
    fragment, _ = stack(text)
    assert ("LoadBalancer" in [one.address for one in fragment.load_balancers]) is there


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("!If [IsProd, [{Key: idle_timeout.timeout_seconds, Value: 5}], []]",
         DECIDED),
        ("[!If [IsProd, {Key: idle_timeout.timeout_seconds, Value: 5}, !Ref AWS::NoValue]]",
         DECIDED),
        ("[{Key: !Ref AWS::Region, Value: 5}]", "AWS::Region is known when it is deployed"),
        ("!Ref AWS::Region", "AWS::Region is known when it is deployed"),
        ("60", "LoadBalancerAttributes is no list"),
    ],
)  # fmt: skip
def test_attribute_that_may_be_written_is_unknown(attributes: str, expected: str) -> None:
    text = balancer("60", before=OPEN)
    text = text[: text.index("LoadBalancerAttributes:")] + f"LoadBalancerAttributes: {attributes}\n"
    assert reason(idle(text)) == expected


def test_attribute_that_is_set_to_nothing_is_absent() -> None:
    assert isinstance(idle(balancer("!Ref AWS::NoValue")), Absent)
