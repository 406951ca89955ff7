"""Resources of templates, and where their absent values can be written."""

from __future__ import annotations

from textwrap import dedent

import pytest
from tests.readers.cloudformation.support import seconds, stack, stacks
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.model.setting import Default, Disabled, Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.readers._aws import AwsFragment, Container
from keepalign.readers._reader import Absent, CommandStyle

HEAD = 'AWSTemplateFormatVersion: "2010-09-09"\nResources:\n'


def resource(kind: str, properties: str, name: str = "It") -> str:
    """A template's one resource."""
    held = "\n".join(f"      {line}" for line in dedent(properties).strip().splitlines())
    return f"{HEAD}  {name}:\n    Type: {kind}\n    Properties:\n{held}\n"


def reread(source: SourceText) -> AwsFragment:
    """The fragment of an edited template."""
    return stack(source.data.decode())[0]


LB = "AWS::ElasticLoadBalancingV2::LoadBalancer"
TG = "AWS::ElasticLoadBalancingV2::TargetGroup"


@pytest.mark.parametrize(
    "properties",
    [
        "Name: orders",
        "Name: orders # the balancer\nSubnets: [a, b]",
        "LoadBalancerAttributes:\n  - Key: routing.http2.enabled\n    Value: 'true'",
        "LoadBalancerAttributes:\n- Key: routing.http2.enabled\n  Value: 'true' # as ever",
        "LoadBalancerAttributes:\n  - {Key: access_logs.s3.enabled, Value: 'false'}",
        "LoadBalancerAttributes: [{Key: access_logs.s3.enabled, Value: 'false'}]",
        "LoadBalancerAttributes: []",
        "LoadBalancerAttributes:\n  -   Value: 'true'\n      Key: routing.http2.enabled",
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_absent_attribute_can_be_written(properties: str, line_end: str) -> None:
    text = resource(LB, properties).replace("\n", line_end)
    fragment, source = stack(text)
    read = fragment.load_balancers[0].idle_timeout
    assert isinstance(read, Absent)
    after = written(source, read.site, 120)
    if line_end == "\r\n":
        assert after.data.count(b"\n") == after.data.count(b"\r\n")
    found = reread(after).load_balancers[0]
    assert seconds(found.idle_timeout) == 120
    assert isinstance(found.client_keep_alive, Absent)


def test_absent_attribute_can_be_written_into_json() -> None:
    text = """{
      "Resources": {
        "It": {
          "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
          "Properties": {
            "TargetGroupAttributes": [
              {"Key": "stickiness.enabled", "Value": "false"}
            ]
          }
        }
      }
    }"""
    fragment, source = stack(text)
    after = written(source, fragment.target_groups[0].deregistration_delay.site, 30)
    assert seconds(reread(after).target_groups[0].deregistration_delay) == 30
    assert (
        '            {"Key": "deregistration_delay.timeout_seconds", "Value": "30"},\n' in after.data.decode()
    )


def test_balancer_without_properties_has_no_place_for_an_attribute() -> None:
    fragment, _ = stack(f"{HEAD}  It:\n    Type: {LB}\n")
    assert fragment.load_balancers[0].idle_timeout == Absent("idle_timeout")


def test_last_of_two_equal_keys_counts() -> None:
    rows = "LoadBalancerAttributes:\n" + "".join(
        f"  - Key: idle_timeout.timeout_seconds\n    Value: {number}\n" for number in (60, 90)
    )
    assert seconds(stack(resource(LB, rows))[0].load_balancers[0].idle_timeout) == 90


@pytest.mark.parametrize(
    ("written_as", "kind"),
    [("", "application"), ("Type: network", "network"), ("Type: !Ref AWS::Region", "*")],
)
def test_kind_of_a_balancer(written_as: str, kind: str) -> None:
    assert stack(resource(LB, f"Name: orders\n{written_as}"))[0].load_balancers[0].kind == kind


def test_target_group_with_its_health_check() -> None:
    """Wording as people have it: a number as HttpCode, an unquoted attribute, a comment behind it."""
    fragment, source = stack(
        resource(
            TG,
            """
            Port: 80
            HealthCheckPath: /health
            HealthCheckIntervalSeconds: 30
            HealthCheckTimeoutSeconds: '5'
            HealthyThresholdCount: 2
            UnhealthyThresholdCount: 3
            Matcher:
              HttpCode: 200
            TargetGroupAttributes:
              - Key: stickiness.enabled
                Value: true
              - Key: deregistration_delay.timeout_seconds
                Value: 30  # Connection draining
            """,
        )
    )
    (group,) = fragment.target_groups
    assert (group.address, group.port, group.health_path, group.matcher) == ("It", 80, "/health", "200")
    assert (group.healthy_threshold, group.unhealthy_threshold) == (2, 3)
    assert (seconds(group.health_interval), seconds(group.health_timeout)) == (30, 5)
    assert seconds(group.deregistration_delay) == 30
    assert isinstance(group.deregistration_delay, Explicit)
    assert text_at(source, group.deregistration_delay.origin.literal) == "30"
    assert_spans_fit(source, fragment)


def test_classic_balancer_has_a_listener_and_a_group_of_its_own() -> None:
    fragment, _ = stack(
        resource(
            "AWS::ElasticLoadBalancing::LoadBalancer",
            """
            Listeners:
              - LoadBalancerPort: '80'
                InstancePort: '8080'
                Protocol: HTTP
            ConnectionSettings:
              IdleTimeout: 120
            ConnectionDrainingPolicy:
              Enabled: true
              Timeout: 20
            """,
        )
    )
    (balancer,), (listener,), (group,) = fragment.load_balancers, fragment.listeners, fragment.target_groups
    assert balancer.kind == "classic"
    assert seconds(balancer.idle_timeout) == 120
    assert (listener.load_balancer, listener.target_groups, listener.port) == ("It", ("It",), 80)
    assert (group.address, group.port, seconds(group.deregistration_delay)) == ("It", 8080, 20)


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ("ConnectionDrainingPolicy: {Enabled: false}", Disabled),
        ("Scheme: internal", Disabled),
        ("ConnectionDrainingPolicy: {Timeout: 30}", Disabled),
        ("ConnectionDrainingPolicy: {Enabled: true}", Default),
        ("ConnectionDrainingPolicy: {Enabled: !ImportValue draining}", Unknown),
        ("ConnectionDrainingPolicy: !ImportValue draining", Unknown),
    ],
)
def test_classic_balancer_may_not_drain(policy: str, kind: type[object]) -> None:
    fragment, _ = stack(resource("AWS::ElasticLoadBalancing::LoadBalancer", policy))
    assert isinstance(fragment.target_groups[0].deregistration_delay, kind)


def test_distribution_with_a_balancer_as_its_origin() -> None:
    text = resource(
        "AWS::CloudFront::Distribution",
        """
        DistributionConfig:
          Origins:
            - Id: files
              DomainName: files.s3.amazonaws.com
              S3OriginConfig: {OriginAccessIdentity: ''}
            - Id: ALBOrigin
              DomainName: !GetAtt LoadBalancer.DNSName
              ConnectionAttempts: 2
              CustomOriginConfig:
                OriginProtocolPolicy: http-only
                OriginReadTimeout: 60
        """,
    )
    text += f"  LoadBalancer:\n    Type: {LB}\n    Properties: {{Name: orders}}\n"
    fragment, source = stack(text)
    (origin,) = fragment.distributions[0].origins
    assert (origin.origin_id, origin.load_balancer, origin.connection_attempts) == (
        "ALBOrigin",
        "LoadBalancer",
        2,
    )
    assert seconds(origin.read_timeout) == 60
    after = written(source, origin.keepalive_timeout.site, 55)
    assert seconds(reread(after).distributions[0].origins[0].keepalive_timeout) == 55


def test_listener_forwards_where_its_actions_say() -> None:
    text = f"""{HEAD}
  A: {{Type: {TG}, Properties: {{Port: 80}}}}
  B: {{Type: {TG}, Properties: {{Port: 80}}}}
  LoadBalancer: {{Type: {LB}, Properties: {{Name: x}}}}
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn:
        Ref: LoadBalancer
      Port: 80
      Protocol: HTTP
      DefaultActions:
        - Type: forward
          ForwardConfig:
            TargetGroups:
              - TargetGroupArn: !Ref A
                Weight: 1
              - TargetGroupArn: !Ref B
                Weight: 0
"""
    (listener,) = stack(text)[0].listeners
    assert (listener.load_balancer, listener.port, listener.protocol) == ("LoadBalancer", 80, "HTTP")
    assert listener.target_groups == listener.default_groups == ("A", "B")
    assert not listener.unknown_target


def test_listener_that_a_condition_sends_elsewhere_forwards_to_both() -> None:
    text = f"""AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  CertificateArn: {{Type: String}}
Conditions:
  HasCert: !Not [!Equals [!Ref CertificateArn, '']]
Resources:
  A: {{Type: {TG}, Properties: {{Port: 80}}}}
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !ImportValue other
      Port: !If [HasCert, 443, 80]
      DefaultActions:
        - !If
          - HasCert
          - Type: redirect
          - Type: forward
            TargetGroupArn: !Ref A
"""
    (listener,) = stack(text)[0].listeners
    assert listener.target_groups == ("A",)
    assert (listener.load_balancer, listener.port) == (None, None)


RULES = f"""{HEAD}
  A: {{Type: {TG}, Properties: {{Port: 80}}}}
  B: {{Type: {TG}, Properties: {{Port: 80}}}}
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      DefaultActions: [{{Type: forward, TargetGroupArn: !Ref A}}]
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: 10
      Actions: [{{Type: forward, TargetGroupArn: !Ref B}}]
      Conditions:
"""


@pytest.mark.parametrize(
    ("condition", "paths", "hosts", "further"),
    [
        ("- {Field: path-pattern, Values: [/api, '/api/*']}", ("/api", "/api/*"), (), ()),
        ("- {Field: path-pattern, PathPatternConfig: {Values: [/api]}}", ("/api",), (), ()),
        ("- {Field: host-header, HostHeaderConfig: {Values: [a.example.com]}}", (), ("a.example.com",), ()),
        ("- {Field: host-header, Values: [!Ref AWS::Region]}", (), None, ()),
        ("- {Field: path-pattern, Values: [!Sub '/${AWS::Region}/*']}", None, (), ()),
        ("- {Field: http-header, HttpHeaderConfig: {HttpHeaderName: X}}", (), (), ("http_header",)),
        ("- {Field: source-ip, SourceIpConfig: {Values: [10.0.0.0/8]}}", (), (), ("source_ip",)),
        ("- !Ref AWS::Region", (), (), ("a condition that is not known",)),
    ],
)
def test_rule_of_a_listener(
    condition: str, paths: tuple[str, ...] | None, hosts: tuple[str, ...] | None, further: tuple[str, ...]
) -> None:
    fragment, _ = stack(f"{RULES}        {condition}\n")
    (listener,) = fragment.listeners
    (rule,) = listener.rules
    assert (listener.target_groups, listener.default_groups) == (("A", "B"), ("A",))
    assert (rule.address, rule.priority, rule.target_groups) == ("Rule", 10, ("B",))
    assert (rule.paths, rule.hosts, rule.further) == (paths, hosts, further)


def test_rule_of_an_unknown_listener_is_noted() -> None:
    fragment, _ = stack(
        RULES.replace("!Ref Listener", "!ImportValue listener") + "        - {Field: path-pattern}\n"
    )
    assert fragment.listeners[0].rules == ()
    (note,) = fragment.notes
    assert note.text == (
        "Rule: its listener is not known, so its target groups are not joined:"
        " the export listener is not in the given folders"
    )


# Services and tasks

CONTAINER = """
Family: orders
ContainerDefinitions:
  - Name: app
    Image: !Sub ${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/${Repository}:v1
    Essential: true
    COMMAND
    PortMappings:
      - ContainerPort: 8000
    DependsOn:
      - ContainerName: db
        Condition: HEALTHY
    Environment:
      - Name: TIMEOUT
        Value: 30
      - Name: PASSWORD
        Value: '{{resolve:secretsmanager:db:SecretString:password}}'
    Secrets:
      - Name: TOKEN
        ValueFrom: arn:aws:ssm:eu-west-1:1:parameter/token
"""


def container(command: str) -> tuple[Container, SourceText]:
    """The container of a task definition with these lines as its command."""
    lines = command.replace("\n", "\n    ")
    text = resource("AWS::ECS::TaskDefinition", CONTAINER.replace("COMMAND", lines or "Cpu: 256"), "Task")
    text += "  Repository:\n    Type: AWS::ECR::Repository\n    Properties: {RepositoryName: orders-app}\n"
    fragment, source = stack(text)
    (one,) = fragment.task_definitions[0].containers
    return one, source


def test_container_of_a_task() -> None:
    one, source = container("")
    assert (one.name, one.image) == ("app", "*.dkr.ecr.*.amazonaws.com/orders-app:v1")
    assert (one.ports, one.depends_on) == ((8000,), ("db",))
    assert one.environment == {"TIMEOUT": "30", "PASSWORD": None, "TOKEN": None}
    assert (one.command, one.entry_point) == (None, None)
    after = written(source, one.stop_timeout.site, 90)
    assert seconds(reread(after).task_definitions[0].containers[0].stop_timeout) == 90


@pytest.mark.parametrize(
    ("command", "style"),
    [
        ("Command: [gunicorn, app:app, --timeout, '30']", CommandStyle.LIST),
        ('Command: ["gunicorn", "app:app", "--timeout", "30"]', CommandStyle.LIST),
        ("Command:\n  - gunicorn\n  - app:app\n  - --timeout\n  - '30'", CommandStyle.ROWS),
        ("Command:\n- gunicorn\n- app:app\n- --timeout\n- 30 # seconds", CommandStyle.ROWS),
    ],
)
def test_command_can_be_edited_and_continued(command: str, style: CommandStyle) -> None:
    one, source = container(command)
    line = one.command
    assert line is not None
    assert [word.text for word in line.words] == ["gunicorn", "app:app", "--timeout", "30"]
    assert line.style is style
    assert [text_at(source, word.value_span) for word in line.words] == [word.text for word in line.words]
    assert line.append_at is not None
    further = f'{line.lead}"--keep-alive"{line.lead}"75"' if line.lead else ', "--keep-alive", "75"'
    at = line.append_at.start
    after = SourceText(source.file, source.data[:at] + further.encode() + source.data[at:])
    read = reread(after).task_definitions[0].containers[0].command
    assert read is not None
    assert [word.text for word in read.words] == [*(word.text for word in line.words), "--keep-alive", "75"]


def test_command_out_of_pieces_is_unknown_in_pieces() -> None:
    one, _ = container("Command: [sh, -c, !Sub 'run --region ${AWS::Region}', !Ref AWS::NoValue]")
    assert one.command is not None
    assert [word.text for word in one.command.words] == ["sh", "-c", None]
    assert one.command.words[2].reason == "AWS::Region is known when it is deployed"


@pytest.mark.parametrize("command", ["Command: !Ref AWS::Region", "Command: gunicorn"])
def test_command_that_is_no_list_is_unknown(command: str) -> None:
    one, _ = container(command)
    assert one.command is not None
    (word,) = one.command.words
    assert word.text is None
    assert word.reason


@pytest.mark.parametrize(
    ("capacity", "spot"),
    [
        ("LaunchType: FARGATE", False),
        ("CapacityProviderStrategy: [{CapacityProvider: FARGATE}]", False),
        ("CapacityProviderStrategy: [{CapacityProvider: FARGATE}, {CapacityProvider: FARGATE_SPOT}]", True),
        ("CapacityProviderStrategy: [{CapacityProvider: FARGATE_SPOT, Weight: 0}]", False),
        ("CapacityProviderStrategy: [{CapacityProvider: our-instances}]", None),
        ("LaunchType: EC2", None),
    ],
)
def test_service_of_ecs(capacity: str, spot: bool | None) -> None:
    properties = f"""
ServiceName: orders
{capacity}
TaskDefinition: orders:3
DesiredCount: 2
DeploymentConfiguration: {{MinimumHealthyPercent: 50, MaximumPercent: 150}}
HealthCheckGracePeriodSeconds: 90
LoadBalancers:
  - ContainerName: app
    ContainerPort: 8000
    TargetGroupArn: !Ref Group
"""
    text = resource("AWS::ECS::Service", properties)
    text += f"  Group: {{Type: {TG}, Properties: {{Port: 80}}}}\n"
    text += (
        "  Task: {Type: AWS::ECS::TaskDefinition, Properties: {Family: orders, ContainerDefinitions: []}}\n"
    )
    (service,) = stack(text)[0].services
    assert (service.name, service.task_definition, service.desired_count) == ("orders", "Task", 2)
    assert (service.minimum_healthy_percent, service.maximum_percent, service.spot) == (50, 150, spot)
    assert seconds(service.health_check_grace) == 90
    (target,) = service.targets
    assert (target.target_group, target.container_name, target.container_port) == ("Group", "app", 8000)


def test_unknown_containers_are_noted() -> None:
    fragment, _ = stack(resource("AWS::ECS::TaskDefinition", "ContainerDefinitions: !Ref AWS::Region"))
    assert fragment.task_definitions[0].containers == ()
    assert [note.text for note in fragment.notes] == [
        "the containers of It are unknown: AWS::Region is known when it is deployed"
    ]


# What else a template says


def test_transforms_and_loops_are_noted() -> None:
    text = f"""Transform: [AWS::Serverless-2016-10-31, OurMacro]
Resources:
  Fn::ForEach::Groups: [Name, [A], {{}}]
  Function: {{Type: AWS::Serverless::Function, Properties: {{}}}}
  It: {{Type: {LB}, Properties: {{Name: x}}}}
"""
    assert [note.text for note in stack(text)[0].notes] == [
        "Fn::ForEach adds resources when it is deployed; they are not read",
        "functions and API gateways are not judged; only balancers and what stands behind them are",
        "the transform OurMacro changes the template when it is deployed; that is not read",
    ]


def test_generated_template_has_no_place_to_edit() -> None:
    """`cdk synth` would write it anew."""
    fragment, _ = stack(resource(LB, "Name: orders"))
    assert fragment.load_balancers[0].idle_timeout.site is not None
    (generated,), _, _ = stacks({"cdk.out/App.template.json": resource(LB, "Name: orders")})
    assert generated.load_balancers[0].idle_timeout.site is None
    marked = resource(LB, "Name: orders") + '    Metadata: {"aws:cdk:path": "App/LB"}\n'
    assert stack(marked)[0].load_balancers[0].idle_timeout.site is None


def test_included_properties_are_noted() -> None:
    fragment, _ = stack(resource(LB, "Name: orders\nFn::Transform: {Name: AWS::Include}"))
    assert [note.text for note in fragment.notes] == [
        "what Fn::Transform adds to It when it is deployed is not read"
    ]


def test_synthesised_template_builds_from_its_assets() -> None:
    """As `cdk synth` writes it: the tag of an image is the hash of the folder that was copied."""
    digest = "0123456789abcdef" * 4
    text = resource(
        "AWS::ECS::TaskDefinition",
        f"""
        ContainerDefinitions:
          - Name: web
            Image:
              Fn::Sub: "${{AWS::AccountId}}.dkr.ecr.${{AWS::Region}}.${{AWS::URLSuffix}}/cdk-assets:{digest}"
        """,
    )
    (fragment,), _, _ = stacks({"cdk.out/App.template.json": text})
    (container,) = fragment.task_definitions[0].containers
    assert container.image == f"*.dkr.ecr.*.*/cdk-assets:{digest}"
    assert container.build == f"cdk.out/asset.{digest}"


def test_properties_that_are_no_mapping_say_nothing() -> None:
    fragment, _ = stack(f"{HEAD}  It:\n    Type: {TG}\n    Properties: !Ref AWS::Region\n")
    assert isinstance(fragment.target_groups[0].deregistration_delay, Absent)
