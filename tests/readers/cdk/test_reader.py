"""Constructs in TypeScript and Python, as people write them, and how they join in one file."""

from __future__ import annotations

import pytest
from tests.readers.cdk.support import python, reason, seconds, typescript
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.model.setting import Default, Explicit
from keepalign.model.source import SourceText
from keepalign.readers._aws import AwsFragment, ListenerRule
from keepalign.readers._reader import Absent
from keepalign.readers.cdk import recognise, telling
from keepalign.readers.cdk.reader import read_source, read_sources

STACK_TS = """
const lb = new elbv2.ApplicationLoadBalancer(this, 'LB', { vpc, idleTimeout: cdk.Duration.seconds(60) });
const listener = lb.addListener('Http', { port: 80 });
const task = new ecs.FargateTaskDefinition(this, 'Task', { cpu: 512, family: 'orders' });
const db = task.addContainer('proxy', { image: ecs.ContainerImage.fromRegistry('envoyproxy/envoy:v1.30.1') });
const app = task.addContainer('app', {
  image: ecs.ContainerImage.fromAsset('../app'),
  command: ['gunicorn', 'app:app', '--timeout', '30'],
  entryPoint: ['/entrypoint.sh'],
  stopTimeout: cdk.Duration.seconds(90),
  environment: { TIMEOUT: '30', REGION: this.region },
  secrets: { TOKEN: ecs.Secret.fromSsmParameter(token) },
  containerName: 'orders-app',
});
app.addPortMappings({ containerPort: 8000 });
app.addContainerDependencies({ container: db, condition: ecs.ContainerDependencyCondition.START });
const service = new ecs.FargateService(this, 'Service', {
  cluster, taskDefinition: task, desiredCount: 3, minHealthyPercent: 100,
  capacityProviderStrategies: [{ capacityProvider: 'FARGATE_SPOT', weight: 1 }],
});
listener.addTargets('Orders', {
  port: 8000,
  targets: [service.loadBalancerTarget({ containerName: 'orders-app', containerPort: 8000 })],
  deregistrationDelay: cdk.Duration.seconds(30),
  healthCheck: { path: '/health', interval: cdk.Duration.seconds(10), healthyHttpCodes: '200-299' },
});
"""
STACK_PY = """
lb = elbv2.ApplicationLoadBalancer(self, "LB", vpc=vpc, idle_timeout=Duration.seconds(60))
listener = lb.add_listener("Http", port=80)
task = ecs.FargateTaskDefinition(self, "Task", cpu=512, family="orders")
db = task.add_container("proxy", image=ecs.ContainerImage.from_registry("envoyproxy/envoy:v1.30.1"))
app = task.add_container(
    "app",
    image=ecs.ContainerImage.from_asset("../app"),
    command=["gunicorn", "app:app", "--timeout", "30"],
    entry_point=["/entrypoint.sh"],
    stop_timeout=Duration.seconds(90),
    environment={"TIMEOUT": "30", "REGION": self.region},
    secrets={"TOKEN": ecs.Secret.from_ssm_parameter(token)},
    container_name="orders-app",
)
app.add_port_mappings(ecs.PortMapping(container_port=8000))
app.add_container_dependencies(ecs.ContainerDependency(container=db))
service = ecs.FargateService(
    self, "Service", cluster=cluster, task_definition=task, desired_count=3, min_healthy_percent=100,
    capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT")],
)
listener.add_targets(
    "Orders",
    port=8000,
    targets=[service.load_balancer_target(container_name="orders-app", container_port=8000)],
    deregistration_delay=Duration.seconds(30),
    health_check=elbv2.HealthCheck(
        path="/health", interval=Duration.seconds(10), healthy_http_codes="200-299"
    ),
)
"""
LISTED = ("lib/orders-stack.ts", "app/Dockerfile", "orders/orders_stack.py")


@pytest.mark.parametrize("language", ["typescript", "python"])
def test_constructs_of_a_stack_join_by_their_variables(language: str) -> None:
    fragment, source = typescript(STACK_TS, LISTED) if language == "typescript" else python(STACK_PY, LISTED)
    (lb,), (listener,), (group,) = fragment.load_balancers, fragment.listeners, fragment.target_groups
    assert (lb.address, lb.kind, seconds(lb.idle_timeout)) == ("LB", "application", 60)
    assert (listener.address, listener.load_balancer, listener.port) == ("LB.Http", "LB", 80)
    assert listener.default_groups == (group.address,) == ("LB.Http.Orders",)
    assert (seconds(group.deregistration_delay), seconds(group.health_interval)) == (30, 10)
    assert (group.port, group.health_path, group.matcher) == (8000, "/health", "200-299")
    (task,), (service,) = fragment.task_definitions, fragment.services
    assert (task.family, service.task_definition) == ("orders", "Task")
    proxy, app = task.containers
    assert (proxy.name, proxy.image) == ("proxy", "envoyproxy/envoy:v1.30.1")
    assert (app.name, app.ports, app.depends_on) == ("orders-app", (8000,), ("proxy",))
    assert app.environment == {"TIMEOUT": "30", "REGION": None, "TOKEN": None}
    assert seconds(app.stop_timeout) == 90
    assert app.command is not None
    assert [text_at(source, word.value_span) for word in app.command.words] == [
        "gunicorn", "app:app", "--timeout", "30",
    ]  # fmt: skip
    assert app.entry_point is not None
    assert [word.text for word in app.entry_point.words] == ["/entrypoint.sh"]
    assert app.build == "app"
    (target,) = service.targets
    assert (target.target_group, target.container_name, target.container_port) == (
        group.address, "orders-app", 8000,
    )  # fmt: skip
    assert (service.desired_count, service.minimum_healthy_percent, service.maximum_percent) == (3, 100, 200)
    assert service.spot is True
    assert_spans_fit(source, fragment)


def test_service_as_a_target_means_its_first_container() -> None:
    fragment, _ = typescript(
        STACK_TS.replace(
            "service.loadBalancerTarget({ containerName: 'orders-app', containerPort: 8000 })", "service"
        )
        + "task.defaultContainer.addPortMappings({ containerPort: 9901 });"
    )
    (target,) = fragment.services[0].targets
    assert (target.container_name, target.container_port) == ("proxy", 9901)


def test_cdk_waits_a_minute_for_health_and_halves_a_service() -> None:
    """What aws-ecs writes into the template when nobody says more."""
    fragment, source = typescript(STACK_TS.replace(" minHealthyPercent: 100,", ""))
    (service,) = fragment.services
    assert service.minimum_healthy_percent == 50
    assert isinstance(service.health_check_grace, Default)
    assert seconds(service.health_check_grace) == 60
    after = written(source, service.health_check_grace.site, 120)
    found = read_source(after)
    assert found is not None
    assert seconds(found.services[0].health_check_grace) == 120


PATTERN_TS = """
const service = new patterns.ApplicationLoadBalancedFargateService(this, 'Orders', {
  cluster,
  taskImageOptions: {
    image: ecs.ContainerImage.fromRegistry('orders-app:1'),
    containerPort: 8080,
  },
});
"""
PATTERN_PY = """
service = patterns.ApplicationLoadBalancedFargateService(
    self, "Orders",
    cluster=cluster,            # Required
    task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(
        image=ecs.ContainerImage.from_registry("orders-app:1"),
        container_port=8080,
    ),
)
"""


@pytest.mark.parametrize("language", ["typescript", "python"])
def test_pattern_makes_a_whole_path(language: str) -> None:
    fragment, source = typescript(PATTERN_TS) if language == "typescript" else python(PATTERN_PY)
    (lb,), (listener,), (group,) = fragment.load_balancers, fragment.listeners, fragment.target_groups
    (task,), (service,) = fragment.task_definitions, fragment.services
    assert (lb.address, listener.load_balancer) == ("Orders.loadBalancer", "Orders.loadBalancer")
    assert listener.target_groups == (group.address,) == ("Orders.targetGroup",)
    (container,) = task.containers
    assert (container.name, container.image, container.ports) == ("web", "orders-app:1", (8080,))
    (target,) = service.targets
    assert (target.target_group, target.container_name, target.container_port) == (
        "Orders.targetGroup", "web", 8080,
    )  # fmt: skip
    for read, value in ((lb.idle_timeout, 120), (group.deregistration_delay, 30)):
        assert isinstance(read, Absent)
        after = written(source, read.site, value)
        found = read_source(after)
        assert found is not None
        again = found.load_balancers[0].idle_timeout, found.target_groups[0].deregistration_delay
        assert value in [one.value.seconds for one in again if isinstance(one, Explicit)]


def test_pattern_that_nobody_keeps_has_no_place_for_a_delay() -> None:
    fragment, _ = typescript(PATTERN_TS.replace("const service = ", ""))
    assert fragment.target_groups[0].deregistration_delay == Absent("deregistration_delay")


def test_attributes_and_checks_that_are_set_later_count() -> None:
    fragment, source = typescript(
        PATTERN_TS
        + """
service.targetGroup.configureHealthCheck({ interval: cdk.Duration.seconds(5), healthyThresholdCount: 2 });
service.targetGroup.setAttribute("deregistration_delay.timeout_seconds", "0");
service.loadBalancer.setAttribute('idle_timeout.timeout_seconds', '300');
"""
    )
    (group,), (lb,) = fragment.target_groups, fragment.load_balancers
    assert (seconds(group.deregistration_delay), seconds(lb.idle_timeout)) == (0, 300)
    assert (seconds(group.health_interval), group.healthy_threshold) == (5, 2)
    after = written(source, group.deregistration_delay.site, 45)
    assert b'"deregistration_delay.timeout_seconds", "45")' in after.data


@pytest.mark.parametrize("value", ["wait", "props.wait", "wait.toString()"])
def test_attribute_is_written_as_a_text(value: str) -> None:
    fragment, source = typescript(
        f"""
        const wait = '30';
        const group = new elbv2.ApplicationTargetGroup(this, 'TG', {{ port: 80 }});
        group.setAttribute('deregistration_delay.timeout_seconds', {value});
        """
    )
    read = fragment.target_groups[0].deregistration_delay
    assert not isinstance(read, Absent)
    after = written(source, read.site, 45).data.decode()
    assert after == source.data.decode().replace(f"', {value})", '\', "45")')


def test_existing_balancer_serves_a_pattern() -> None:
    fragment, _ = typescript(
        """
        this.alb = new elbv2.ApplicationLoadBalancer(this, 'Shared', { vpc });
        new patterns.ApplicationLoadBalancedFargateService(this, 'Orders', {
          loadBalancer: this.alb, taskImageOptions: { image },
        });
        """
    )
    assert [lb.address for lb in fragment.load_balancers] == ["Shared"]
    assert fragment.listeners[0].load_balancer == "Shared"


# Listeners and rules


def rule(body: str) -> tuple[AwsFragment, ListenerRule]:
    """The one rule of a listener with a default group and another."""
    fragment, _ = typescript(
        f"""
        const lb = new elbv2.ApplicationLoadBalancer(this, 'LB', {{ vpc }});
        const web = new elbv2.ApplicationTargetGroup(this, 'Web', {{ port: 80 }});
        const api = new elbv2.ApplicationTargetGroup(this, 'Api', {{ port: 81 }});
        const listener = lb.addListener('L', {{ port: 443, defaultTargetGroups: [web] }});
        {body}
        """
    )
    (listener,) = fragment.listeners
    assert listener.default_groups == ("Web",)
    (found,) = listener.rules
    return fragment, found


@pytest.mark.parametrize(
    ("body", "paths", "further"),
    [
        ("TargetGroups('R', { targetGroups: [api], conditions: [pathPatterns(['/v1', '/api/*'])]",
         ("/api/*", "/v1"), ()),
        ("Action('R', { action: forward([api]), conditions: [pathPatterns(props.paths)]",
         None, ()),
        ("Action('R', { action: forward([api]), conditions: [ListenerCondition.httpHeader('X', ['1'])]",
         (), ("http_header",)),
        ("Action('R', { action: forward([api]), conditions: props.conditions",
         (), ("a condition that is not known",)),
    ],
)  # fmt: skip
def test_rules_of_a_listener(body: str, paths: tuple[str, ...] | None, further: tuple[str, ...]) -> None:
    fragment, found = rule(f"listener.add{body}, priority: 5 }});")
    assert (found.target_groups, found.priority) == (("Api",), 5)
    assert (found.paths, found.further) == (paths, further)
    assert fragment.listeners[0].target_groups == ("Web", "Api")


def test_rule_may_be_a_construct() -> None:
    fragment, _ = python(
        """
        group = elbv2.ApplicationTargetGroup(self, "TG", port=80)
        group.set_attribute(key="deregistration_delay.timeout_seconds", value="120")
        lb = elbv2.ApplicationLoadBalancer(self, "LB", vpc=vpc)
        forward = elbv2.ListenerAction.forward(target_groups=[group])
        listener = lb.add_listener("L", port=80, default_action=forward)
        elbv2.ApplicationListenerRule(
            self, "Rule", listener=listener, priority=1, target_groups=[group],
            conditions=[elbv2.ListenerCondition.path_patterns(["*"])],
        )
        """
    )
    (listener,) = fragment.listeners
    assert listener.default_groups == ("TG",)
    assert [(one.target_groups, one.paths) for one in listener.rules] == [(("TG",), ("*",))]
    assert seconds(fragment.target_groups[0].deregistration_delay) == 120


def test_variables_of_several_stacks_do_not_mix() -> None:
    body = """
    const wait = cdk.Duration.seconds({0}0);
    const service = new ecs.FargateService(this, 'Service{0}', {{ taskDefinition }});
    const group = new elbv2.ApplicationTargetGroup(this, 'Group{0}', {{
      targets: [service], deregistrationDelay: wait,
    }});
    """
    fragment, _ = typescript(body.format(1) + body.format(2))
    assert [one.targets[0].target_group for one in fragment.services] == ["Group1", "Group2"]
    assert reason(fragment.target_groups[0].deregistration_delay) == "wait is decided when the program runs"


def test_service_that_joins_a_group_from_elsewhere_has_a_target() -> None:
    fragment, _ = typescript(
        """
        const service = new ecs.FargateService(this, 'Service', { taskDefinition });
        props.targetGroup.addTarget(service);
        """
    )
    (target,) = fragment.services[0].targets
    assert target.target_group is None


def test_action_that_is_no_forward_leads_nowhere() -> None:
    _, found = rule(
        "listener.addAction('R', { priority: 5, action: elbv2.ListenerAction.fixedResponse(503) });"
    )
    assert (found.target_groups, found.unknown_target) == ((), False)


def test_group_that_comes_from_elsewhere_is_unknown() -> None:
    _, found = rule("listener.addTargetGroups('R', { priority: 5, targetGroups: [props.group] });")
    assert (found.target_groups, found.unknown_target) == ((), True)


def test_targets_of_a_listener_from_elsewhere_are_a_group() -> None:
    fragment, _ = typescript(
        """
        const service = new ecs.FargateService(this, 'Service', { taskDefinition });
        props.listener.addTargets('Orders', { port: 80, targets: [service], priority: 1 });
        """
    )
    assert [group.address for group in fragment.target_groups] == ["Orders"]
    assert fragment.services[0].targets[0].target_group == "Orders"


def test_service_may_register_by_itself() -> None:
    fragment, _ = typescript(
        """
        const lb = new elbv2.ApplicationLoadBalancer(this, 'LB', { vpc });
        const listener = lb.addListener('L', { port: 80 });
        const group = new elbv2.ApplicationTargetGroup(this, 'TG', { port: 80 });
        const service = new ecs.FargateService(this, 'Service', { taskDefinition });
        service.attachToApplicationTargetGroup(group);
        service.registerLoadBalancerTargets({
          containerName: 'web', containerPort: 80, newTargetGroupId: 'ECS',
          listener: ecs.ListenerConfig.applicationListener(listener, {
            deregistrationDelay: cdk.Duration.seconds(9),
          }),
        });
        """
    )
    first, second = fragment.services[0].targets
    assert (first.target_group, second.target_group) == ("TG", "LB.L.ECS")
    assert (second.container_name, second.container_port) == ("web", 80)
    assert fragment.listeners[0].target_groups == ("LB.L.ECS",)
    assert seconds(fragment.target_groups[1].deregistration_delay) == 9


def test_network_balancer_has_no_idle_timeout() -> None:
    fragment, _ = typescript("new elbv2.NetworkLoadBalancer(this, 'NLB', { vpc });")
    (lb,) = fragment.load_balancers
    assert (lb.kind, lb.idle_timeout) == ("network", Absent("idle_timeout"))


def test_origin_of_a_distribution() -> None:
    fragment, source = typescript(
        """
        const lb = new elbv2.ApplicationLoadBalancer(this, 'LB', { vpc });
        new cloudfront.Distribution(this, 'CDN', {
          defaultBehavior: {
            origin: new origins.LoadBalancerV2Origin(lb, {
              readTimeout: cdk.Duration.seconds(50),
              connectionAttempts: 2,
            }),
          },
        });
        """
    )
    (origin,) = fragment.distributions[0].origins
    assert (origin.load_balancer, origin.connection_attempts, seconds(origin.read_timeout)) == ("LB", 2, 50)
    after = written(source, origin.keepalive_timeout.site, 58)
    assert b"connectionAttempts: 2,\n          keepaliveTimeout: cdk.Duration.seconds(58),\n" in after.data


# Images


@pytest.mark.parametrize(
    ("image", "listed", "expected", "build"),
    [
        ("fromAsset('../app')", "app/Dockerfile", "*", "app"),
        ("fromAsset('app')", "app/Dockerfile", "*", "app"),
        ("fromAsset(path.join(__dirname, '..', 'app'))", "app/Dockerfile", "*", "app"),
        ("fromAsset(`${__dirname}/../app`)", "app/Dockerfile", "*", "app"),
        (
            "fromAsset('..', { file: 'app/Dockerfile.prod' })",
            "app/Dockerfile.prod",
            "*",
            "app/Dockerfile.prod",
        ),
        ("fromAsset(props.folder)", "app/Dockerfile", "*", None),
        ("fromAsset('nowhere')", "app/Dockerfile", "*", None),
        ("fromRegistry(`httpd:${version}`)", "", "httpd:*", None),
        ("fromEcrRepository(repo, 'v3')", "", "*/orders-app:v3", None),
        ("fromEcrRepository(props.repository)", "", "*/*:latest", None),
        ("fromDockerImageAsset(asset)", "app/Dockerfile", "*", "app"),
    ],
)
def test_image_of_a_container(image: str, listed: str, expected: str, build: str | None) -> None:
    fragment, _ = typescript(
        f"""
        const repo = new ecr.Repository(this, 'Repo', {{ repositoryName: 'orders-app' }});
        const asset = new assets.DockerImageAsset(this, 'Asset', {{ directory: 'app' }});
        const task = new ecs.FargateTaskDefinition(this, 'Task');
        task.addContainer('app', {{ image: ecs.ContainerImage.{image} }});
        """,
        ("lib/orders-stack.ts", listed),
    )
    (container,) = fragment.task_definitions[0].containers
    assert (container.image, container.build) == (expected, build)


def test_images_in_a_circle_are_unknown() -> None:
    fragment, _ = typescript(
        """
        const a = ecs.ContainerImage.fromDockerImageAsset(b);
        const b = ecs.ContainerImage.fromDockerImageAsset(a);
        const task = new ecs.FargateTaskDefinition(this, 'Task');
        task.addContainer('app', { image: a });
        """
    )
    assert fragment.task_definitions[0].containers[0].image == "*"


# Lengths of time


@pytest.mark.parametrize(
    ("written_as", "expected", "after"),
    [
        ("cdk.Duration.seconds(60)", 60, "cdk.Duration.seconds(90)"),
        ("cdk.Duration.minutes(2)", 120, "cdk.Duration.seconds(90)"),
        ("cdk.Duration.seconds(60 * 2)", 120, "cdk.Duration.seconds(90)"),
        ("cdk.Duration.seconds(IDLE)", 75, "cdk.Duration.seconds(90)"),
        ("TIMEOUT", 80, "cdk.Duration.seconds(90)"),
        ("this.timeout", 85, "cdk.Duration.seconds(90)"),
    ],
)
def test_length_of_time(written_as: str, expected: int, after: str) -> None:
    before = """
    const IDLE = 75;
    const TIMEOUT = cdk.Duration.seconds(80);
    this.timeout = cdk.Duration.seconds(85);
    """
    body = f"{before}new elbv2.ApplicationLoadBalancer(this, 'LB', {{ idleTimeout: {written_as} }});"
    fragment, source = typescript(body)
    read = fragment.load_balancers[0].idle_timeout
    assert seconds(read) == expected
    edited = written(source, read.site, 90).data.decode()
    assert edited == source.data.decode().replace(f"idleTimeout: {written_as}", f"idleTimeout: {after}")


@pytest.mark.parametrize(
    ("written_as", "why"),
    [
        ("props.idleTimeout", "it is decided when the program runs"),
        ("props.idleTimeout ?? cdk.Duration.seconds(60)", "it is not what this property takes"),
        ("isProd ? cdk.Duration.seconds(300) : cdk.Duration.seconds(60)",
         "a condition decides it when the program runs"),
        ("cdk.Duration.seconds(Number(process.env.IDLE))", "it is decided when the program runs"),
        ("idle", "idle is decided when the program runs"),
        ("id", "id is decided where it is called"),
        ("missing", "missing is not set in this file"),
    ],
)  # fmt: skip
def test_unknown_length_says_why(written_as: str, why: str) -> None:
    fragment, source = typescript(
        f"""
        let idle = cdk.Duration.seconds(60);
        if (props.slow) {{
          idle = cdk.Duration.seconds(300);
        }}
        new elbv2.ApplicationLoadBalancer(this, 'LB', {{ vpc, idleTimeout: {written_as} }});
        """
    )
    assert reason(fragment.load_balancers[0].idle_timeout) == why
    assert_spans_fit(source, fragment)


def test_spread_may_set_anything() -> None:
    fragment, _ = typescript("new elbv2.ApplicationLoadBalancer(this, 'LB', { ...defaults, vpc });")
    assert reason(fragment.load_balancers[0].idle_timeout)


@pytest.mark.parametrize("target", ["const lb = ", ""])
def test_without_the_class_of_durations_an_attribute_is_set(target: str) -> None:
    text = "import { ApplicationLoadBalancer } from 'aws-cdk-lib/aws-elasticloadbalancingv2';\n"
    text += f"{target}new ApplicationLoadBalancer(stack, 'LB', {{ vpc }});\n"
    source = SourceText("bin/app.ts", text.encode())
    fragment = read_source(source)
    assert fragment is not None
    read = fragment.load_balancers[0].idle_timeout
    if not target:
        assert read == Absent("idle_timeout")
        return
    assert isinstance(read, Absent)
    after = written(source, read.site, 90).data.decode()
    assert after == f"{text}lb.setAttribute('idle_timeout.timeout_seconds', '90');\n"


@pytest.mark.parametrize(
    ("head", "word"),
    [
        ("import { Duration } from 'aws-cdk-lib';", "Duration"),
        ("import {\n  App,\n  Duration,\n} from 'aws-cdk-lib';", "Duration"),
        ("import * as core from 'aws-cdk-lib';", "core.Duration"),
    ],
)
def test_absent_one_is_written_as_the_file_imports_it(head: str, word: str) -> None:
    text = f"{head}\nconst lb = new elbv2.ApplicationLoadBalancer(this, 'LB');\n"
    source = SourceText("bin/app.ts", text.encode())
    fragment = read_source(source)
    assert fragment is not None
    after = written(source, fragment.load_balancers[0].idle_timeout.site, 90)
    assert after.data.decode().endswith(f"(this, 'LB', {{ idleTimeout: {word}.seconds(90) }});\n")


# Files


@pytest.mark.parametrize(
    ("path", "head", "known"),
    [
        ("lib/stack.ts", b"import * as cdk from 'aws-cdk-lib';", True),
        ("lib/stack.js", b'const elbv2 = require("@aws-cdk/aws-elasticloadbalancingv2");', True),
        ("stacks/web.py", b"from aws_cdk import Stack", True),
        ("lib/stack.d.ts", b"import * as cdk from 'aws-cdk-lib';", False),
        ("test/stack.test.ts", b"import * as cdk from 'aws-cdk-lib';", False),
        ("tests/test_stack.py", b"import aws_cdk", False),
        ("package.json", b'"aws-cdk-lib": "2"', False),
        ("src/index.ts", b"import express from 'express';", False),
    ],
)
def test_source_is_recognised_by_what_it_imports(path: str, head: bytes, known: bool) -> None:
    assert recognise(path, head) is known


def test_only_what_names_a_construct_is_read() -> None:
    assert telling(b"new elbv2.ApplicationLoadBalancer(")
    assert telling(b"patterns.ApplicationLoadBalancedFargateService(")
    assert not telling(b"new s3.Bucket(this, 'B');")


def test_python_that_is_none_becomes_a_note() -> None:
    texts = {"a.py": "{{ cookiecutter }} = (", "b.py": "lb = ApplicationLoadBalancer(self, 'LB')\n"}
    fragments, notes = read_sources(list(texts), [], lambda name: SourceText(name, texts[name].encode()))
    assert [one.file for one in fragments] == ["b.py"]
    assert [note.text.split(": it is no Python")[0] for note in notes] == ["a.py, line 1 was not used"]


def test_construct_that_is_not_read_is_noted() -> None:
    fragment, _ = typescript("new patterns.ApplicationMultipleTargetGroupsFargateService(this, 'S', {});")
    assert [note.text for note in fragment.notes] == [
        "ApplicationMultipleTargetGroupsFargateService is not read"
    ]


def test_file_without_constructs_makes_nothing() -> None:
    assert read_source(SourceText("a.ts", b"const x = 1;")) is None
