"""Templates that belong together, and what stands beside them."""

from __future__ import annotations

import json

import pytest
from tests.readers.cloudformation.support import balancer, idle, reason, seconds, stacks, steps
from tests.readers.sites import written

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit
from keepalign.model.source import SourceText
from keepalign.readers._reader import Absent
from keepalign.readers.cloudformation.reader import read_templates

HEAD = 'AWSTemplateFormatVersion: "2010-09-09"\n'
EDGE = f"""{HEAD}
Parameters:
  IdleTimeout: {{Type: Number, Default: 60}}
Resources:
  LoadBalancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties:
      LoadBalancerAttributes:
        - Key: idle_timeout.timeout_seconds
          Value: !Ref IdleTimeout
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref LoadBalancer
      DefaultActions: [{{Type: fixed-response}}]
Outputs:
  Listener:
    Value: !Ref Listener
    Export: {{Name: EXPORT}}
"""
SERVICE = f"""{HEAD}
Parameters:
  Listener: {{Type: String}}
Resources:
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {{Port: 80}}
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: LISTENER
      Priority: 1
      Conditions: [{{Field: path-pattern, Values: ['*']}}]
      Actions: [{{Type: forward, TargetGroupArn: !Ref Group}}]
"""


def parent(url: str, further: str = "", passed: str = "IdleTimeout: 120") -> str:
    """A template that nests edge.yaml by this address, and service.yaml."""
    return f"""{HEAD}
Resources:
  Edge:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: {url}
      Parameters: {{{passed}}}
  Orders:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: service.yaml
      Parameters:
        Listener: !GetAtt Edge.Outputs.Listener
{further}
"""


@pytest.mark.parametrize(
    "url",
    [
        "edge.yaml",
        "./edge.yaml",
        "https://s3.amazonaws.com/our-templates/master/edge.yaml",
        "!Sub https://${AWS::AccountId}-templates.s3.${AWS::Region}.amazonaws.com/v1/edge.yaml",
        "!Join ['/', [!Ref AWS::URLSuffix, edge.yaml]]",
    ],
)
def test_nested_stacks_are_one_stack(url: str) -> None:
    files = {
        "main.yaml": parent(url),
        "edge.yaml": EDGE,
        "service.yaml": SERVICE.replace("LISTENER", "!Ref Listener"),
    }
    (fragment,), notes, _ = stacks(files)
    assert (fragment.file, notes) == ("main.yaml", [])
    (lb,), (listener,), (group,) = fragment.load_balancers, fragment.listeners, fragment.target_groups
    assert (lb.address, group.address) == ("Edge.LoadBalancer", "Orders.Group")
    assert listener.target_groups == ("Orders.Group",)
    assert listener.load_balancer == "Edge.LoadBalancer"
    assert seconds(lb.idle_timeout) == 120
    assert steps(lb.idle_timeout) == ["idle_timeout.timeout_seconds", "parameter IdleTimeout of Edge"]


def test_value_that_a_parent_passes_is_edited_there() -> None:
    files = {"main.yaml": parent("edge.yaml"), "edge.yaml": EDGE}
    (fragment,), _, sources = stacks(files)
    after = written(sources["main.yaml"], fragment.load_balancers[0].idle_timeout.site, 90)
    assert after.data.decode() == files["main.yaml"].replace("IdleTimeout: 120", "IdleTimeout: 90")


def test_list_that_a_parent_passes_is_not_written_into() -> None:
    edge = EDGE.replace("IdleTimeout: {Type: Number, Default: 60}", "Rows: {Type: CommaDelimitedList}")
    begin = edge.index("      LoadBalancerAttributes:")
    edge = edge[:begin] + "      LoadBalancerAttributes: !Ref Rows\n" + edge[edge.index("  Listener:\n") :]
    files = {"main.yaml": parent("edge.yaml", passed="Rows: [{Key: a.b, Value: c}]"), "edge.yaml": edge}
    (fragment,), _, _ = stacks(files)
    assert fragment.load_balancers[0].idle_timeout == Absent("idle_timeout")


def test_default_counts_where_a_parent_passes_nothing() -> None:
    files = {"main.yaml": parent("edge.yaml", passed="IdleTimeout: !Ref AWS::NoValue"), "edge.yaml": EDGE}
    (fragment,), _, _ = stacks(files)
    assert seconds(fragment.load_balancers[0].idle_timeout) == 60


def test_nested_template_that_is_not_given_is_noted() -> None:
    service = SERVICE.replace("LISTENER", "!Ref Listener")
    (fragment,), notes, _ = stacks(
        {"main.yaml": parent("https://s3.amazonaws.com/x/edge.yaml"), "service.yaml": service}
    )
    assert [note.text for note in notes] == ["the template of nested stack Edge is not in the given folders"]
    (note,) = fragment.notes
    assert note.text == (
        "Orders.Rule: its listener is not known, so its target groups are not joined:"
        " the template of Edge is not in the given folders"
    )


def test_stack_that_nests_itself_ends() -> None:
    text = parent("main.yaml")
    fragments, notes, _ = stacks({"main.yaml": text, "a/main.yaml": text, "service.yaml": SERVICE})
    assert len(fragments) <= 3
    assert notes


def test_stacks_that_nest_each_other_end() -> None:
    texts = {f"{one}.yaml": parent(f"{other}.yaml", passed="") for one, other in ("ab", "ba")}
    fragments, notes, _ = stacks({**texts, "service.yaml": SERVICE})
    assert fragments
    assert any("nested stack" in note.text for note in notes)


@pytest.mark.parametrize(
    ("export", "imported", "by_name"),
    [
        ("orders-listener", "!ImportValue orders-listener", False),
        ("orders-listener", "{'Fn::ImportValue': {'Fn::Sub': 'orders-listener'}}", False),
        ("!Sub '${AWS::StackName}-Listener'", "!ImportValue edge-Listener", True),
        ("!Sub '${AWS::StackName}:Listener'",
         "{'Fn::ImportValue': !Sub '${EdgeStack}:Listener'}", True),
    ],
)  # fmt: skip
def test_export_and_import_are_one_stack(export: str, imported: str, by_name: bool) -> None:
    files = {
        "edge.yaml": EDGE.replace("EXPORT", export),
        "service.yaml": SERVICE.replace("LISTENER", imported),
    }
    files["service.yaml"] = files["service.yaml"].replace("Listener: {Type", "EdgeStack: {Type")
    (fragment,), _, _ = stacks(files)
    (listener,) = fragment.listeners
    assert (listener.address, listener.target_groups) == ("edge.Listener", ("service.Group",))
    assert listener.load_balancer == "edge.LoadBalancer"
    assert list(fragment.by_name) == (["service.Rule"] if by_name else [])


def test_import_that_fits_several_exports_stays_apart() -> None:
    export = EDGE.replace("EXPORT", "!Sub '${AWS::StackName}-Listener'")
    service = SERVICE.replace("LISTENER", "!ImportValue edge-Listener")
    fragments, _, _ = stacks({"edge.yaml": export, "other.yaml": export, "service.yaml": service})
    assert [one.file for one in fragments] == ["edge.yaml", "other.yaml", "service.yaml"]


def test_imports_in_a_circle_end() -> None:
    texts = {
        f"{one}.yaml": balancer(f"!ImportValue {other}")
        + f"Outputs:\n  O: {{Value: !ImportValue {other}, Export: {{Name: {one}}}}}\n"
        for one, other in ("ab", "ba")
    }
    (fragment,), _, _ = stacks(texts)
    assert all(reason(lb.idle_timeout) for lb in fragment.load_balancers)


# Beside a template

WITH_PARAMETER = balancer(
    "!Ref IdleTimeout",
    before="Parameters:\n  IdleTimeout: {Type: Number, Default: 60}\n  Name: {Type: String}",
)
LONG = json.dumps([{"ParameterKey": "IdleTimeout", "ParameterValue": "120"}])
PIPELINE = json.dumps({"Parameters": {"IdleTimeout": "120"}, "Tags": {"a": "b"}})
PLAIN = json.dumps({"IdleTimeout": 120})
SAM = """version = 0.1
[default.deploy.parameters]
template_file = "stack.yaml"
parameter_overrides = "Name=orders IdleTimeout=\\"120\\""
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stack.params.json", LONG),
        ("stack-parameters.json", PIPELINE),
        ("parameters.json", PLAIN),
        ("params.yaml", "IdleTimeout: 120"),
        ("parameters/prod.json", LONG),
        ("params/prod.json", PLAIN),
        ("config/stack-prod.json", PIPELINE),
        ("samconfig.toml", SAM),
        ("samconfig.toml", SAM.replace("Name=orders IdleTimeout=\\\"120\\\"",
                                       "ParameterKey=IdleTimeout,ParameterValue=120")),
        ("samconfig.toml", SAM.replace('"Name=orders IdleTimeout=\\"120\\""', '["IdleTimeout=120"]')),
    ],
)  # fmt: skip
def test_parameter_file_beside_a_template_counts(name: str, text: str) -> None:
    (fragment,), _, _ = stacks({"stack.yaml": WITH_PARAMETER, name: text})
    read = fragment.load_balancers[0].idle_timeout
    assert seconds(read) == 120
    assert f"parameter IdleTimeout in {name.rsplit('/')[-1]}" in steps(read)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other/stack.params.json", LONG),
        ("stack.params.json", json.dumps([{"ParameterKey": "Else", "ParameterValue": "1"}])),
        ("stack.params.json", "[1, 2]"),
        ("stack.params.json", "{"),
        ("samconfig.toml", SAM.replace("stack.yaml", "template.yaml")),
        ("samconfig.toml", "parameter_overrides ="),
        ("package.json", PLAIN),
        ("config/stack.json", PLAIN),
        ("stack.config.json", PLAIN),
    ],
)
def test_file_that_does_not_belong_is_passed_over(name: str, text: str) -> None:
    (fragment,), _, _ = stacks({"stack.yaml": WITH_PARAMETER, name: text})
    assert seconds(fragment.load_balancers[0].idle_timeout) == 60


def test_parameter_file_of_another_template_is_passed_over() -> None:
    files = {"stack.yaml": WITH_PARAMETER, "other.yaml": WITH_PARAMETER, "other.params.json": LONG}
    found = {one.file: seconds(one.load_balancers[0].idle_timeout) for one in stacks(files)[0]}
    assert found == {"stack.yaml": 60, "other.yaml": 120}


def test_parameter_files_that_differ_decide_nothing() -> None:
    dev, prod = (json.dumps({"IdleTimeout": number}) for number in (30, 300))
    (fragment,), _, _ = stacks(
        {"stack.yaml": WITH_PARAMETER, "stack.dev.params.json": dev, "stack.prod.params.json": prod}
    )
    assert reason(fragment.load_balancers[0].idle_timeout) == (
        "its values for parameter IdleTimeout differ:"
        " 30 (stack.dev.params.json), 300 (stack.prod.params.json)"
    )


def test_edit_goes_to_the_parameter_file() -> None:
    (fragment,), _, sources = stacks({"stack.yaml": WITH_PARAMETER, "stack.params.json": LONG})
    read = fragment.load_balancers[0].idle_timeout
    assert isinstance(read, Explicit)
    after = written(sources["stack.params.json"], read.site, 150)
    assert json.loads(after.data) == [{"ParameterKey": "IdleTimeout", "ParameterValue": "150"}]


def test_edit_of_what_samconfig_gives_goes_to_its_use() -> None:
    (fragment,), _, sources = stacks({"stack.yaml": WITH_PARAMETER, "samconfig.toml": SAM})
    after = written(sources["stack.yaml"], fragment.load_balancers[0].idle_timeout.site, 150)
    assert after.data.decode() == WITH_PARAMETER.replace("!Ref IdleTimeout", "150")


# Bad input


def test_template_that_is_none_is_told_with_its_place() -> None:
    """Jinja in front of it: sceptre, or a pipeline."""
    text = HEAD + "Resources:\n{% if balanced %}\n  It: {Type: 'AWS::ECS::Service'}\n{% endif %}\n"
    fragments, notes, _ = stacks({"stack.yaml": text})
    assert fragments == []
    (note,) = notes
    assert note.text.startswith("stack.yaml, line 3 was not used: it is no YAML: ")


def test_template_that_somebody_names_must_be_readable() -> None:
    source = SourceText("stack.yaml", b"Resources: [")
    with pytest.raises(ReadError) as caught:
        read_templates(["stack.yaml"], ["stack.yaml"], {"stack.yaml": source}.get, {"stack.yaml"})
    assert (caught.value.file, caught.value.line) == ("stack.yaml", 1)


def test_idle_timeout_of_a_template_with_a_byte_order_mark() -> None:
    text = "\ufeff" + WITH_PARAMETER.replace("\n", "\r\n")
    assert seconds(idle(text)) == 60
