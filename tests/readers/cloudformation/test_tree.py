"""Templates and source of the CDK among the other files of a tree."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.readers.cloudformation.support import balancer

from keepalign.cli import run
from keepalign.errors import ReadError
from keepalign.readers.cloudformation import recognise, telling
from keepalign.readers.tree import read_tree

TEMPLATE = balancer("60")


@pytest.mark.parametrize(
    ("path", "head", "known"),
    [
        ("stack.yaml", b"AWSTemplateFormatVersion: 2010-09-09\n", True),
        ("stack.yml", b"---\n# ours\nResources:\n  A:\n    Type: 'AWS::ECS::Service'\n", True),
        ("template.yaml", b"Transform: AWS::Serverless-2016-10-31\n", True),
        ("stack.json", b'{"Resources": {"A": {"Type": "AWS::S3::Bucket"}}}', True),
        ("stack.template", b'{"AWSTemplateFormatVersion": "2010-09-09"}', True),
        ("cdk.out/App.template.json", b'{\n "Resources": {\n', True),
        ("values.yaml", b"ingress:\n  type: alb\n", False),
        ("deployment.yaml", b"apiVersion: apps/v1\nkind: Deployment\n", False),
        ("policy.json", b'{"Principal": "AWS:role"}', False),
        ("readme.md", b"AWSTemplateFormatVersion", False),
    ],
)
def test_template_is_recognised_by_its_head(path: str, head: bytes, known: bool) -> None:
    assert recognise(path, head) is known


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::ElasticLoadBalancingX"])
def test_template_without_balancers_is_not_parsed(kind: str) -> None:
    assert telling(f"Resources:\n  A: {{Type: {kind}}}".encode()) is (kind == "AWS::ElasticLoadBalancingX")


def test_templates_are_read_below_folders_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    file = tmp_path / "infra" / "stack.yaml"
    file.write_text(TEMPLATE)
    for root in (tmp_path, file):
        (fragment,) = read_tree([str(root)]).aws
        assert fragment.file == str(file)
    edited = TEMPLATE.replace("60", "90").encode()
    (fragment,) = read_tree([str(tmp_path)], overlay={str(file): edited}).aws
    assert "90000000" in repr(fragment.load_balancers[0].idle_timeout)


def test_unreadable_template_is_noted_unless_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(TEMPLATE + "  {{ more }}: [\n")
    tree = read_tree([str(tmp_path)])
    assert tree.aws == ()
    assert any(str(file) in note.text and "no YAML" in note.text for note in tree.notes)
    with pytest.raises(ReadError, match="no YAML"):
        read_tree([str(file)])


def test_secrets_of_a_template_are_never_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2hunter2"
    text = balancer("!If [Never, 1, !Ref Password]", before=f"""
Parameters:
  Password: {{Type: String, NoEcho: true, Default: {secret}}}
  Other: {{Type: String, Default: {secret}}}
Conditions:
  Never: !Equals [!Ref Other, no]
""")  # fmt: skip
    text += f"""  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      HealthCheckIntervalSeconds: !Ref Other
      TargetGroupAttributes: [{{Key: deregistration_delay.timeout_seconds, Value: !Sub "${{Other}}"}}]
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Name: app
          Image: nginx:1.27
          StopTimeout: !Ref Other
          Environment: [{{Name: PASSWORD, Value: {secret}}}]
"""
    (tmp_path / "stack.yaml").write_text(text)
    for form in ("text", "json", "concise", "sarif", "markdown"):
        run(["check", str(tmp_path), "--format", form])
    out, err = capfd.readouterr()
    assert "stack.yaml" in out + err
    assert secret not in out + err


def test_many_files_that_are_none_cost_little(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number}.yaml").write_text("a: 1\n" * 900)
        (tmp_path / f"{number}.ts").write_text("export const a = 1;\n" * 200)
    spent = time.process_time()
    assert read_tree([str(tmp_path)]).aws == ()
    assert time.process_time() - spent < 3
