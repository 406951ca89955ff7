"""Any bytes and any template: fragments and notes, or an error with its place, in linear time."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.cloudformation.support import balancer, stacks
from tests.readers.sites import FIXTURES, spans_in

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers.cloudformation.reader import read_templates

ORDERS = (FIXTURES / "cloudformation" / "orders" / "stack.yaml").read_bytes()

NAMES = st.sampled_from(["A", "B", "P", "AWS::NoValue", "AWS::Region", "A.Arn", "M"])
TEXTS = st.sampled_from(["${A}", "${!A}", "${P}${P}", "*"])
EXPRESSIONS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | NAMES | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(
            lambda name, held: {name: held},
            st.sampled_from([
                "Ref", "Fn::Sub", "Fn::If", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::FindInMap",
                "Fn::GetAtt", "Fn::ImportValue", "Fn::Equals", "Fn::Not", "Fn::And", "Condition", "Key",
                "Value", "Fn::Cidr",
            ]),
            inner,
        )
    ),
    max_leaves=10,
)  # fmt: skip
KINDS = st.sampled_from([
    "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::ElasticLoadBalancing::LoadBalancer", "AWS::ECS::TaskDefinition", "AWS::ECS::Service",
    "AWS::CloudFront::Distribution", "AWS::CloudFormation::Stack",
])  # fmt: skip
PROPERTIES = st.dictionaries(
    st.sampled_from([
        "Name", "Type", "LoadBalancerAttributes", "TargetGroupAttributes", "Actions", "DefaultActions",
        "Conditions", "ContainerDefinitions", "LoadBalancers", "TemplateURL", "Parameters", "TaskDefinition",
        "ListenerArn", "LoadBalancerArn", "HealthCheckIntervalSeconds", "ConnectionSettings",
        "DistributionConfig",
    ]),
    EXPRESSIONS,
    max_size=4,
)  # fmt: skip


def outcome(files: dict[str, bytes]) -> None:
    """Anything else than fragments or an error with its place is a fault."""
    sources = {name: SourceText(name, data) for name, data in files.items()}
    try:
        fragments, notes = read_templates(list(files), list(files), sources.get, set(files))
    except ReadError as error:
        if error.line is None or error.column is None:
            raise AssertionError("an error without a place") from error
        return
    for fragment in fragments:
        for span in spans_in(fragment):
            assert span == sources[span.file].span(span.start, span.end)
        repr(fragment).encode()
    for note in notes:
        note.text.encode()


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    outcome({"stack.yaml": data})


@given(st.integers(0, len(ORDERS) - 1), st.binary(max_size=6))
def test_any_damage(at: int, junk: bytes) -> None:
    outcome({"stack.yaml": ORDERS[:at] + junk + ORDERS[at + len(junk) :]})
    outcome({"stack.yaml": ORDERS[:at]})


@given(
    st.dictionaries(st.sampled_from("ABC"), st.tuples(KINDS, PROPERTIES), max_size=3),
    EXPRESSIONS,
    EXPRESSIONS,
)
def test_any_template(resources: dict[str, tuple[str, object]], condition: object, default: object) -> None:
    template = {
        "Parameters": {"P": {"Type": "String", "Default": default}},
        "Conditions": {"A": condition, "B": {"Condition": "A"}},
        "Mappings": {"M": {"A": {"B": default}}},
        "Resources": {
            name: {"Type": kind, "Condition": "B", "Properties": held}
            for name, (kind, held) in resources.items()
        },
        "Outputs": {"O": {"Value": default, "Export": {"Name": condition}}},
    }
    outcome({"stack.json": json.dumps(template).encode(), "other.json": json.dumps(template).encode()})


def doubling(deep: int) -> str:
    """An expression that would be 2^deep long."""
    inner = "x"
    for _ in range(deep):
        inner = f"!Sub ['${{a}}${{a}}', {{a: {inner}}}]"
    return balancer(inner)


def chained(length: int) -> str:
    """Conditions, each of which is the next one."""
    rows = "".join(f"  C{i}: !Condition C{i + 1}\n" for i in range(length))
    return balancer("!If [C0, 60, 90]", before=f"Conditions:\n{rows}  C{length}: !Equals [a, a]\n")


def repositories(count: int) -> str:
    """Repositories, each named twice after the next one."""
    rows = ""
    for i in range(count):
        name = f"!Sub '${{R{i + 1}}}${{R{i + 1}}}'"
        rows += f"  R{i}: {{Type: AWS::ECR::Repository, Properties: {{RepositoryName: {name}}}}}\n"
    return balancer("!Sub 'a${R0}'") + rows


def mappings(count: int) -> str:
    """A mapping whose entries are made of others, which CloudFormation refuses."""
    rows = "".join(
        f"    K{i}: {{V: !Join ['', [!FindInMap [M, K{i + 1}, V], !FindInMap [M, K{i + 1}, V]]]}}\n"
        for i in range(count)
    )
    return balancer("!FindInMap [M, K0, V]", before=f"Mappings:\n  M:\n{rows}")


@pytest.mark.parametrize("text", [doubling(60), chained(3_000), repositories(60), mappings(60)])
def test_expressions_that_multiply_or_go_deep_end(text: str) -> None:
    (fragment,), _, _ = stacks({"stack.yaml": text})
    assert fragment.load_balancers


def test_nested_stacks_that_multiply_end() -> None:
    def nesting(level: int) -> str:
        rows = "".join(
            f"  S{i}: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: l{level + 1}.yaml}}}}\n"
            for i in range(9)
        )
        return f"Resources:\n{rows}"

    files = {f"l{level}.yaml": nesting(level) for level in range(9)}
    files["l9.yaml"] = balancer("60")
    spent = time.process_time()
    stacks(files)
    assert time.process_time() - spent < 5


def test_many_resources_take_linear_time() -> None:
    def taken(count: int) -> float:
        rows = "".join(
            f"  G{i}:\n    Type: AWS::ElasticLoadBalancingV2::TargetGroup\n    Properties: {{Port: !Ref P}}\n"
            for i in range(count)
        )
        spent = time.process_time()
        text = f"AWSTemplateFormatVersion: x\nParameters:\n  P: {{Default: 80}}\nResources:\n{rows}"
        stacks({"stack.yaml": text})
        return time.process_time() - spent

    taken(100)
    assert taken(2_000) < 40 * max(taken(200), 0.01)
