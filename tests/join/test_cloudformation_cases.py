"""Small templates in the words of public ones, through the whole check: bad, ok, and at the limit.

The shapes are those of aws-samples/ecs-refarch-cloudformation (stacks nested by an address in S3),
aws-cloudformation/aws-cloudformation-templates (exports joined with ":"), widdix/aws-cf-templates (conditions
around a whole listener, attributes of both kinds) and aws-samples/aws-cdk-examples.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keepalign.cli import run

IDLE = "backend-keepalive-below-lb-idle"
CUT = "deregistration-below-longest-request"
GIVES_UP = "lb-idle-below-response-time"
THIN = "keepalive-margin-thin"

EDGE = """  ApplicationLoadBalancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties:
      Name: !Sub ${EnvironmentName}-ALB
      Scheme: internet-facing
      Subnets: !Ref Subnets
LB_ATTRIBUTES
  ALBListener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      DefaultActions:
        - Type: forward
          TargetGroupArn: !Ref TargetGroup
      LoadBalancerArn: !Ref ApplicationLoadBalancer
      Port: 80
      Protocol: HTTP
  TargetGroup:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      Name: !Sub ${EnvironmentName}-TG
      Port: 80
      Protocol: HTTP
      VpcId:
        Fn::ImportValue: !Sub ${EnvironmentName}-VPCID
      HealthCheckPath: /health
      Matcher:
        HttpCode: 200
TG_ATTRIBUTES
"""
SERVICE = """  TaskDefinition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: !Sub '${EnvironmentName}-web'
      RequiresCompatibilities: [FARGATE]
      ContainerDefinitions:
        - Name: web
          Image: python:3.12
          StopTimeout: 120
          PortMappings:
            - ContainerPort: 8000
          Command: COMMAND
  Service:
    Type: AWS::ECS::Service
    Properties:
      LaunchType: FARGATE
      TaskDefinition: !Ref TaskDefinition
      LoadBalancers:
        - ContainerName: web
          ContainerPort: 8000
          TargetGroupArn: !Ref TargetGroup
"""
HEAD = """AWSTemplateFormatVersion: '2010-09-09'
Parameters:
  EnvironmentName:
    Type: String
    Default: production
  Subnets:
    Type: List<AWS::EC2::Subnet::Id>
  IdleTimeout:
    Type: Number
    Default: 60
    MinValue: 1
    MaxValue: 4000
  CertificateArn:
    Type: String
    Default: ''
Mappings:
  Stage:
    production: {Idle: 90, Drain: 150}
    test: {Idle: 60, Drain: 0}
Conditions:
  IsTest: !Equals [!Ref EnvironmentName, test]
Resources:
"""


def uvicorn(keep: int) -> str:
    """A command with this keep-alive timeout."""
    flags = f"--timeout-graceful-shutdown, '100', --timeout-keep-alive, '{keep}'"
    return f"[uvicorn, 'app:app', --port, '8000', {flags}]"


def attributes(name: str, *pairs: tuple[str, str]) -> str:
    """A list of attributes of a balancer or a target group."""
    rows = "".join(f"        - Key: {key}\n          Value: {value}\n" for key, value in pairs)
    return f"      {name}:\n{rows}" if pairs else ""


def template(command: str, idle: str = "", delay: str = "'150'") -> str:
    """The whole stack; an empty `idle` leaves the attribute out."""
    lb = [("access_logs.s3.enabled", "'false'"), *([("idle_timeout.timeout_seconds", idle)] if idle else [])]
    tg = [
        ("stickiness.enabled", "'false'"),
        *([("deregistration_delay.timeout_seconds", delay)] if delay else []),
    ]
    edge = EDGE.replace("LB_ATTRIBUTES\n", attributes("LoadBalancerAttributes", *lb))
    edge = edge.replace("TG_ATTRIBUTES\n", attributes("TargetGroupAttributes", *tg))
    return HEAD + edge + SERVICE.replace("COMMAND", command)


def slugs(folder: Path, capfd: pytest.CaptureFixture[str], *flags: str) -> set[str]:
    """What the check finds, whatever the severity."""
    run(["check", str(folder), "--format", "concise", *flags])
    out, err = capfd.readouterr()
    assert "error" not in err
    return set(re.findall(r": (?:high|medium|low|info) ([a-z0-9-]+) ", out))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (template(uvicorn(5)), {IDLE}),
        (template(uvicorn(60)), {IDLE}),
        (template(uvicorn(62)), {THIN}),
        (template(uvicorn(75)), set()),
        (template(uvicorn(75), idle="'60'"), set()),
        (template(uvicorn(75), idle="600"), {IDLE}),
        (template(uvicorn(75), idle="!Ref IdleTimeout"), set()),
        (template(uvicorn(75), idle="!FindInMap [Stage, !Ref EnvironmentName, Idle]"), {IDLE}),
        (template(uvicorn(75), idle="!If [IsTest, 600, 60]"), set()),
        (template(uvicorn(75), idle="!If [IsTest, 60, 600]"), {IDLE}),
        (template(uvicorn(75), idle="'3600'  # 1 hour idle timeout"), {IDLE}),
    ],
)
def test_keep_alive_behind_an_attribute(
    text: str, expected: set[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ecs.yaml").write_text(text)
    assert slugs(tmp_path, capfd) & {IDLE, THIN} == expected


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        ("0", {CUT}),
        ("'30'", {CUT}),
        ("50", {CUT}),
        ("'60'", set()),
        ("", set()),
        ("!FindInMap [Stage, !Ref EnvironmentName, Drain]", set()),
        ("!FindInMap [Stage, test, Drain]", {CUT}),
        ("!ImportValue drain", set()),
    ],
)
def test_delay_of_a_target_group(
    delay: str, expected: set[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ecs.yaml").write_text(template(uvicorn(75), delay=delay))
    assert slugs(tmp_path, capfd, "--longest-request", "50s") & {CUT} == expected


@pytest.mark.parametrize(("idle", "expected"), [("60", {GIVES_UP}), ("90", {GIVES_UP}), ("100", set())])
def test_silence_behind_a_balancer(
    idle: str, expected: set[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ecs.yaml").write_text(template(uvicorn(300), idle=idle))
    assert slugs(tmp_path, capfd, "--longest-silence", "90s") & {GIVES_UP} == expected


def test_stacks_nested_by_an_address_are_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The parent passes what the child exports, as the reference architecture of ECS does."""
    whole = template(uvicorn(5))
    head, edge = whole[: whole.index("  TaskDefinition:")], whole[whole.index("  TaskDefinition:") :]
    (tmp_path / "infrastructure").mkdir()
    (tmp_path / "services" / "web").mkdir(parents=True)
    (tmp_path / "infrastructure" / "load-balancers.yaml").write_text(
        head + "Outputs:\n  TargetGroup:\n    Value: !Ref TargetGroup\n"
    )
    service = HEAD.replace("Parameters:\n", "Parameters:\n  TargetGroup:\n    Type: String\n") + edge
    (tmp_path / "services" / "web" / "service.yaml").write_text(service)
    (tmp_path / "master.yaml").write_text("""Description: deploys the rest
Resources:
  ALB:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/our-cloudformation/infrastructure/load-balancers.yaml
  Web:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/our-cloudformation/services/web/service.yaml
      Parameters:
        TargetGroup: !GetAtt ALB.Outputs.TargetGroup
""")
    assert IDLE in slugs(tmp_path, capfd)


def test_stacks_that_meet_in_an_export_are_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = template(uvicorn(5))
    at = whole.index("  TargetGroup:\n    Type")
    (tmp_path / "public-vpc.yaml").write_text(
        whole[:at].replace(
            "Type: forward\n          TargetGroupArn: !Ref TargetGroup", "Type: fixed-response"
        )
        + """Outputs:
  PublicListener:
    Value: !Ref ALBListener
    Export:
      Name: !Join [ ':', [ !Ref 'AWS::StackName', 'PublicListener' ] ]
"""
    )
    (tmp_path / "service.yaml").write_text(
        HEAD
        + whole[at:]
        + """  LoadBalancerRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      Actions:
        - TargetGroupArn: !Ref TargetGroup
          Type: forward
      Conditions:
        - Field: path-pattern
          Values:
            - '*'
      ListenerArn: !ImportValue
        Fn::Join:
          - ':'
          - - !Ref EnvironmentName
            - PublicListener
      Priority: 1
"""
    )
    assert IDLE in slugs(tmp_path, capfd)
