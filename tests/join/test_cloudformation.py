"""The story's stack as CloudFormation and as source of the CDK: the same findings, and the same cure."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from keepalign.cli import run
from keepalign.join import load_stack
from keepalign.model.path import JoinBy

ROOT = Path(__file__).parents[2]
BROKEN = ROOT / "examples" / "orders-api" / "broken"
TEMPLATE = Path(__file__).parents[1] / "readers" / "fixtures" / "cloudformation" / "orders" / "stack.yaml"
HIGH = [
    ("backend-keepalive-below-lb-idle", "httpd/httpd.conf", "KeepAliveTimeout 5"),
    ("lb-idle-below-response-time", "infra/", "60"),
    ("proxy-read-below-app-timeout", "httpd/httpd.conf", "Timeout 20"),
    ("response-cut-by-total-timeout", "infra/", "--timeout"),
    ("deregistration-below-longest-request", "infra/", "0"),
]


def as_json(text: str) -> str:
    """The template as JSON: the tags to their long forms."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Of tags."""

    def long_form(loader: Loader, suffix: str, node: yaml.Node) -> object:
        held: object
        if isinstance(node, yaml.SequenceNode):
            held = loader.construct_sequence(node, deep=True)
        else:
            assert isinstance(node, yaml.ScalarNode)
            held = loader.construct_scalar(node)
        return {suffix if suffix == "Ref" else f"Fn::{suffix}": held}

    Loader.add_multi_constructor("!", long_form)
    return json.dumps(yaml.load(text, Loader=Loader), indent=2)


@pytest.fixture(params=["stack.yaml", "stack.json", "Orders.template.json"])
def stack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The story's stack with a template in place of Terraform, in the working directory."""
    shutil.copytree(BROKEN, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "infra")
    text = TEMPLATE.read_text()
    name = str(request.param)
    template = tmp_path / "infra" / name
    template.parent.mkdir()
    template.write_text(text if name.endswith("yaml") else as_json(text))
    monkeypatch.chdir(tmp_path)
    return template


def findings(capfd: pytest.CaptureFixture[str]) -> list[tuple[str, str, str]]:
    """Slug, file and line of the high ones."""
    assert run(["check", ".", "--format", "concise"]) == 1
    found = []
    for line in capfd.readouterr().out.splitlines():
        match = re.match(r"(\S+):(\d+):\d+: high (\S+) ", line)
        if match:
            text = Path(match[1]).read_text().splitlines()[int(match[2]) - 1]
            found.append((match[3], match[1], text.strip()))
    return found


def test_template_has_the_findings_of_the_story(stack: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = findings(capfd)
    assert [slug for slug, _, _ in found] == [slug for slug, _, _ in HIGH]
    for (_, file, line), (_, expected_file, expected) in zip(found, HIGH, strict=True):
        assert file.startswith(expected_file)
        assert re.search(rf"(?<!\d){re.escape(expected)}(?!\d)", line)


def test_fix_writes_a_template_that_checks_clean(stack: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = stack.read_text().splitlines()
    assert run(["fix", "--write", "."]) == 0
    after = stack.read_text().splitlines()
    changed = [new.strip(' ",-') for old, new in zip(before, after, strict=True) if old != new]
    assert [re.sub(r"[\": ]+", " ", one) for one in changed] == [
        "Default 120",
        "Default 120",
        "Seconds 120",
        "50",
    ]
    capfd.readouterr()
    assert run(["check", "."]) == 0


def test_path_through_a_template_is_certain(stack: Path) -> None:
    (path, _) = load_stack(["."]).stack.paths
    assert [hop.name for hop in path.hops] == ["LoadBalancer", "httpd", "reports"]
    assert all(one.by is not JoinBy.ONLY_CANDIDATE for hop in path.hops for one in hop.joined)


def test_absent_attributes_and_flags_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """uvicorn at its default, as in most templates: the flag goes into the list."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM python:3.12\nRUN pip install uvicorn\n")
    text = TEMPLATE.read_text()
    begin, end = text.index("      ContainerDefinitions:"), text.index("  Service:\n")
    containers = """      ContainerDefinitions:
        - Name: httpd
          Image: !Sub "${AWS::AccountId}.dkr.ecr.eu-west-1.amazonaws.com/app:1"
          PortMappings:
            - ContainerPort: 8080
          Command:
            - uvicorn
            - app:app
            - --port
            - "8080"

"""
    (tmp_path / "stack.yaml").write_text(text[:begin] + containers + text[end:])
    monkeypatch.chdir(tmp_path)
    assert run(["fix", "--write", "."]) == 0
    capfd.readouterr()
    written = (tmp_path / "stack.yaml").read_text()
    assert '            - "8080"\n            - "--timeout-keep-alive"\n            - "' in written
    run(["check", ".", "--format", "concise"])
    assert "backend-keepalive-below-lb-idle" not in capfd.readouterr().out


def test_import_by_name_lowers_the_evidence(tmp_path: Path) -> None:
    text = TEMPLATE.read_text()
    shutil.copytree(BROKEN, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "infra")
    begin, end = text.index("  TargetGroup:\n"), text.index("  TaskDefinition:\n")
    group = text[begin:end]
    edge = text[:begin] + "Outputs:\n  Listener:\n    Value: !Ref Listener\n"
    edge += '    Export: {Name: !Sub "${AWS::StackName}-Listener"}\n'
    edge = edge.replace("          TargetGroupArn: !Ref TargetGroup\n", "").replace(
        "Type: forward", "Type: fixed-response"
    )
    rule = """  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !ImportValue edge-Listener
      Priority: 1
      Conditions: [{Field: path-pattern, Values: ["*"]}]
      Actions: [{Type: forward, TargetGroupArn: !Ref TargetGroup}]
"""
    head = text[: text.index("Resources:\n")]
    (tmp_path / "edge.yaml").write_text(edge)
    (tmp_path / "service.yaml").write_text(
        head + "Resources:\n  Cluster: {Type: AWS::ECS::Cluster}\n" + rule + group
        + text[end:].replace("${LoadBalancer.DNSName}", "x")
    )  # fmt: skip
    paths = load_stack([str(tmp_path)]).stack.paths
    assert [path.hops[0].name for path in paths] == ["edge.LoadBalancer"] * 2
    evidence = [one for hop in paths[0].hops for one in hop.joined]
    assert any(one.by is JoinBy.NAME and "fits the export *-Listener" in one.text for one in evidence)


CDK = """import * as cdk from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as ecsPatterns from 'aws-cdk-lib/aws-ecs-patterns';

export class OrdersStack extends cdk.Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    const service = new ecsPatterns.ApplicationLoadBalancedFargateService(this, 'Orders', {
      desiredCount: 2,
      taskImageOptions: {
        image: ecs.ContainerImage.fromAsset('../app'),
        containerPort: 8000,
        command: ['uvicorn', 'app:app', '--port', '8000'],
      },
    });
    service.targetGroup.setAttribute('deregistration_delay.timeout_seconds', '0');
  }
}
"""


@pytest.fixture
def cdk_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pattern of the CDK, with two Dockerfiles of which it names one."""
    for name in ("app", "worker"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text("FROM python:3.12\nRUN pip install uvicorn==0.30.0\n")
    (tmp_path / "infra" / "lib").mkdir(parents=True)
    (tmp_path / "infra" / "lib" / "orders-stack.ts").write_text(CDK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_source_of_the_cdk_is_checked_and_fixed(cdk_stack: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (path,) = load_stack(["."]).stack.paths
    assert [hop.name for hop in path.hops] == ["Orders.loadBalancer", "web"]
    assert any(one.by is JoinBy.REFERENCE and "app/Dockerfile" in one.text for one in path.hops[1].joined)
    assert run(["check", ".", "--format", "concise"]) == 1
    found = capfd.readouterr().out
    assert "infra/lib/orders-stack.ts:16:79: " in found
    assert "backend-keepalive-below-lb-idle" in found
    run(["fix", "--write", "."])
    text = (cdk_stack / "infra" / "lib" / "orders-stack.ts").read_text()
    assert "'--port', '8000', \"--timeout-keep-alive\", \"" in text
    capfd.readouterr()
    run(["check", ".", "--format", "concise"])
    assert "backend-keepalive-below-lb-idle" not in capfd.readouterr().out


def test_what_the_cdk_synthesised_is_read_instead(cdk_stack: Path) -> None:
    out = cdk_stack / "infra" / "cdk.out"
    out.mkdir()
    (out / "Orders.template.json").write_text(as_json(TEMPLATE.read_text()))
    names = [hop.name for path in load_stack(["."]).stack.paths for hop in path.hops[:1]]
    assert set(names) == {"LoadBalancer"}
