"""Which pieces of a tree end on a path, by which evidence, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.trees import (
    CONF,
    GUNICORN,
    HTTPD,
    alb,
    chain,
    fixed_response,
    group,
    listener,
    service,
    task,
    told,
    whole_service,
    written,
)

from keepalign import rules
from keepalign.join import load_stack
from keepalign.join.names import unique
from keepalign.model.path import JoinBy, Product
from keepalign.model.setting import Unknown, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

APP = {"app/Dockerfile": 'FROM python:3.12\nCMD ["gunicorn", "--bind", ":8000", "app:app"]\n'}
IN_FRONT = ("aws-alb:idle_timeout=60s",)


# Names


def test_one_service_behind_two_balancers_has_two_paths_and_two_targets_of_different_names(
    tmp_path: Path,
) -> None:
    shop = whole_service("shop", balancer="public")
    second = listener("aws_lb.internal.arn", "aws_lb_target_group.shop.arn", "second")
    root = written(tmp_path, {"main.tf": alb("public") + alb("internal") + shop + second})
    loaded = load_stack([root])
    names = ["shop behind aws_lb.public", "shop behind aws_lb.internal"]
    assert sorted(path.name for path in loaded.stack.paths) == sorted(names)
    assert sorted(target.name for target in loaded.targets) == sorted(names)
    assert [target.paths for target in loaded.targets] == [(path.name,) for path in loaded.stack.paths]
    assert set(rules.check(loaded.stack).ladders) == set(names)


def test_equal_services_of_two_root_modules_are_told_apart_by_balancer_and_folder(tmp_path: Path) -> None:
    module = alb() + whole_service("shop")
    root = written(tmp_path, {"live/main.tf": module, "test/main.tf": module})
    paths = load_stack([root]).stack.paths
    balancers = [f"aws_lb.this ({root}/live)", f"aws_lb.this ({root}/test)"]
    assert [path.hops[0].name for path in paths] == balancers
    assert [path.name for path in paths] == [f"shop behind {name}" for name in balancers]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([("a", ()), ("b", ())], ["a", "b"]),
        ([("a", ("x",)), ("b", ("x",))], ["a", "b"]),
        ([("a", ("x",)), ("a", ("y",))], ["a x", "a y"]),
        ([("a", ("x", "p")), ("a", ("x", "q"))], ["a p", "a q"]),
        ([("a", ("x", "p")), ("a", ("x", "q")), ("a", ("y", "p"))], ["a x p", "a x q", "a y"]),
        ([("a", ()), ("a", ())], ["a", "a (2)"]),
        ([("a", ()), ("a", ()), ("a (2)", ())], ["a", "a (3)", "a (2)"]),
    ],
)
def test_unique_adds_only_what_tells_names_apart(
    wanted: list[tuple[str, tuple[str, ...]]], names: list[str]
) -> None:
    assert unique(wanted) == names


# Within one root module


def test_service_is_joined_by_reference(tmp_path: Path) -> None:
    root = written(tmp_path, {"main.tf": alb() + whole_service("shop")})
    loaded = load_stack([root])
    (path,) = loaded.stack.paths
    assert path.name == "shop"
    assert chain(path) == ["aws_lb.this", "web"]
    (evidence,) = path.hops[1].joined
    assert evidence.by is JoinBy.REFERENCE
    assert evidence.text == "aws_lb.this → aws_lb_target_group.shop → aws_ecs_service.shop"
    assert not loaded.stack.unjoined
    (target,) = loaded.targets
    assert (target.name, target.front, target.port, target.paths) == ("shop", "web", 8080, ("shop",))


def test_several_services_are_several_paths_each_with_its_own_lifecycle(tmp_path: Path) -> None:
    a = whole_service("a").replace('name = "a"', 'name = "a"\n  deregistration_delay = 10', 1)
    root = written(tmp_path, {"main.tf": alb() + a + whole_service("b")})
    paths = load_stack([root]).stack.paths
    assert [path.name for path in paths] == ["a", "b"]
    delays = [value_of(path.lifecycle.deregistration_delay) for path in paths if path.lifecycle]
    assert delays == [Duration.of(s=10), Duration.of(s=300)]


def test_service_with_two_ports_has_a_path_for_each(tmp_path: Path) -> None:
    both = '{ name = "web", image = "x/web:1", command = ["gunicorn", "-b", ":8080", "-b", ":9090", "a:a"] }'
    more = """
    load_balancer {
      target_group_arn = aws_lb_target_group.admin.arn
      container_name   = "web"
      container_port   = 9090
    }"""
    shop = whole_service("shop", containers=both).replace(
        "desired_count   = 2", f"desired_count   = 2\n{more}"
    )
    admin = group("admin") + listener("aws_lb.this.arn", "aws_lb_target_group.admin.arn", "admin")
    root = written(tmp_path, {"main.tf": alb() + shop + admin})
    loaded = load_stack([root])
    assert sorted(path.name for path in loaded.stack.paths) == ["shop port 8080", "shop port 9090"]
    assert {target.name: target.port for target in loaded.targets} == {
        "shop port 8080": 8080,
        "shop port 9090": 9090,
    }


# Across root modules


def test_target_group_of_another_root_is_joined_when_it_is_the_only_one(tmp_path: Path) -> None:
    edge = alb("edge") + group("blue") + listener("aws_lb.edge.arn", "aws_lb_target_group.blue.arn")
    shop = task("shop", GUNICORN) + service("shop", "data.aws_lb_target_group.found.arn")
    data = 'data "aws_lb_target_group" "found" {\n  name = var.group\n}\nvariable "group" {}\n'
    root = written(tmp_path, {"platform/main.tf": edge, "shop/main.tf": shop + data})
    stack = load_stack([root]).stack
    (path,) = stack.paths
    assert chain(path) == ["aws_lb.edge", "web"]
    (evidence,) = path.hops[1].joined
    assert evidence.by is JoinBy.ONLY_CANDIDATE
    assert "aws_lb_target_group.blue" in evidence.text
    assert evidence.span is not None
    assert evidence.span.file == f"{root}/shop/main.tf"
    assert not stack.unjoined


def test_of_several_target_groups_the_one_with_the_name_of_the_service_is_joined(tmp_path: Path) -> None:
    edge = alb("edge")
    for label in ("shop-tg", "blog-tg"):
        key = label.replace("-", "_")
        edge += group(key, name=label) + listener("aws_lb.edge.arn", f"aws_lb_target_group.{key}.arn", key)
    shop = 'variable "group" {}\n' + task("shop", GUNICORN) + service("shop", "var.group")
    root = written(tmp_path, {"platform/main.tf": edge, "shop/main.tf": shop})
    stack = load_stack([root]).stack
    by_name = next(path for path in stack.paths if path.name == "shop")
    assert [evidence.by for evidence in by_name.hops[1].joined] == [JoinBy.NAME]
    assert set(told(stack.unjoined)) == {"target group blog-tg"}


def test_of_several_target_groups_without_a_fitting_name_none_is_guessed(tmp_path: Path) -> None:
    edge = alb("edge")
    for label in ("green", "blue"):
        edge += group(label) + listener("aws_lb.edge.arn", f"aws_lb_target_group.{label}.arn", label)
    shop = 'variable "group" {}\n' + task("shop", GUNICORN) + service("shop", "var.group")
    root = written(tmp_path, {"platform/main.tf": edge, "shop/main.tf": shop})
    stack = load_stack([root]).stack
    assert all(len(path.hops) == 1 for path in stack.paths)
    missing = told(stack.unjoined)["service shop"]
    assert "aws_lb_target_group.green" in missing
    assert "aws_lb_target_group.blue" in missing
    assert "give only the folders that belong together" in missing


def test_one_target_group_and_two_services_that_look_for_one_are_not_guessed(tmp_path: Path) -> None:
    edge = alb("edge") + group("blue") + listener("aws_lb.edge.arn", "aws_lb_target_group.blue.arn")
    files = {"platform/main.tf": edge}
    for label in ("shop", "blog"):
        files[f"{label}/main.tf"] = (
            'variable "group" {}\n' + task(label, GUNICORN) + service(label, "var.group")
        )
    stack = load_stack([written(tmp_path, files)]).stack
    assert {"service shop", "service blog", "target group blue"} == set(told(stack.unjoined))


def test_target_group_is_joined_to_the_only_balancer_of_another_root(tmp_path: Path) -> None:
    shop = group("shop") + task("shop", GUNICORN) + service("shop", "aws_lb_target_group.shop.arn")
    rule = """
data "aws_lb_listener" "shared" {
  arn = var.listener
}
variable "listener" {}
resource "aws_lb_listener_rule" "shop" {
  listener_arn = data.aws_lb_listener.shared.arn
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
"""
    fixed = fixed_response("aws_lb.edge.arn", "http")
    root = written(tmp_path, {"platform/main.tf": alb("edge") + fixed, "shop/main.tf": shop + rule})
    stack = load_stack([root]).stack
    (path,) = stack.paths
    assert chain(path) == ["aws_lb.edge", "web"]
    assert [evidence.by for evidence in path.hops[1].joined] == [JoinBy.ONLY_CANDIDATE]


def test_group_that_no_listener_of_its_own_module_forwards_to_is_not_given_that_balancer(
    tmp_path: Path,
) -> None:
    idle = group("idle") + task("idle", GUNICORN) + service("idle", "aws_lb_target_group.idle.arn")
    root = written(tmp_path, {"main.tf": alb() + whole_service("shop") + idle})
    stack = load_stack([root]).stack
    assert [path.name for path in stack.paths] == ["shop"]
    assert "give the folder that defines it" in told(stack.unjoined)["target group idle"]


def test_task_definition_of_another_root_is_joined_by_its_family(tmp_path: Path) -> None:
    edge = alb() + group("shop") + listener("aws_lb.this.arn", "aws_lb_target_group.shop.arn")
    shop = 'variable "task" {}\n' + service("shop", "aws_lb_target_group.shop.arn", task="var.task")
    tasks = task("x", GUNICORN, family="shop") + task("y", GUNICORN, family="blog")
    root = written(tmp_path, {"infra/main.tf": edge + shop, "tasks/main.tf": tasks})
    path = next(p for p in load_stack([root]).stack.paths if p.name == "shop")
    assert chain(path) == ["aws_lb.this", "web"]
    assert [evidence.by for evidence in path.hops[1].joined] == [JoinBy.NAME]


def test_service_without_its_task_definition_is_told_and_the_balancer_judged(tmp_path: Path) -> None:
    shop = 'variable "task" {}\n' + service("shop", "aws_lb_target_group.shop.arn", task="var.task")
    edge = alb() + group("shop") + listener("aws_lb.this.arn", "aws_lb_target_group.shop.arn")
    stack = load_stack([written(tmp_path, {"main.tf": edge + shop})]).stack
    assert [chain(path) for path in stack.paths] == [["aws_lb.this"]]
    assert told(stack.unjoined) == {
        "service shop": "its task definition is not in the given folders; give the folder that defines it too"
    }


# What leads nowhere


def test_every_balancer_group_and_listener_without_a_path_is_told(tmp_path: Path) -> None:
    text = alb("bare") + alb("other") + alb("net", kind="network") + alb("fixed") + group("empty")
    text += fixed_response("aws_lb.fixed.arn", "fixed")
    text += 'variable "lb" {}\n' + fixed_response("var.lb", "lost")
    stack = load_stack([written(tmp_path, {"main.tf": text})]).stack
    missing = told(stack.unjoined)
    assert set(missing) == {
        "load balancer bare",
        "load balancer other",
        "load balancer net",
        "load balancer fixed",
        "target group empty",
        "listener aws_lb_listener.lost",
    }
    assert "no listener" in missing["load balancer bare"]
    assert "no listener" in missing["load balancer net"]
    assert "forward to no target group" in missing["load balancer fixed"]
    assert all("; give " in text for text in missing.values())


def test_target_group_without_a_service_is_told_and_its_balancer_judged(tmp_path: Path) -> None:
    text = alb() + group("ec2") + listener("aws_lb.this.arn", "aws_lb_target_group.ec2.arn")
    stack = load_stack([written(tmp_path, {"main.tf": text})]).stack
    assert told(stack.unjoined) == {
        "target group ec2": "no service in the given folders registers targets in it;"
        " give the service's folder too"
    }
    (path,) = stack.paths
    assert chain(path) == ["aws_lb.this"]
    assert path.lifecycle is not None
    assert value_of(path.lifecycle.deregistration_delay) == Duration.of(s=300)


def test_service_behind_a_gateway_load_balancer_is_told(tmp_path: Path) -> None:
    text = alb(kind="gateway") + whole_service("shop")
    stack = load_stack([written(tmp_path, {"main.tf": text})]).stack
    assert not stack.paths
    assert "a gateway load balancer" in told(stack.unjoined)["service shop"]


def test_worker_service_is_no_fault_and_a_server_without_a_balancer_is(tmp_path: Path) -> None:
    celery = '{ name = "worker", image = "x/web:1", command = ["celery", "worker"] }'
    silent = task("worker", celery) + service("worker", "")
    stack = load_stack([written(tmp_path / "a", {"main.tf": alb() + whole_service("shop") + silent})]).stack
    assert not stack.unjoined
    loud = task("api", GUNICORN) + service("api", "")
    stack = load_stack([written(tmp_path / "b", {"main.tf": alb() + whole_service("shop") + loud})]).stack
    assert "no load_balancer block" in told(stack.unjoined)["gunicorn in container web of service api"]


def test_container_that_is_not_there_is_told(tmp_path: Path) -> None:
    text = (alb() + whole_service("shop")).replace('container_name   = "web"', 'container_name   = "wbe"')
    stack = load_stack([written(tmp_path, {"main.tf": text})]).stack
    assert "has no such container" in told(stack.unjoined)["container wbe of service shop"]


def test_container_whose_name_is_not_known_is_the_only_one_of_its_task(tmp_path: Path) -> None:
    """`container_name = var.name`, where each environment has a name of its own."""
    named = "container_name   = var.name"
    one = (alb() + whole_service("shop")).replace('container_name   = "web"', named)
    (path,) = load_stack([written(tmp_path / "one", {"main.tf": one})]).stack.paths
    assert chain(path) == ["aws_lb.this", "web"]
    assert JoinBy.ONLY_CANDIDATE in [one.by for one in path.hops[1].joined]
    both = f"{GUNICORN}, {GUNICORN.replace('web', 'side')}"
    two = (alb() + whole_service("shop", containers=both)).replace('container_name   = "web"', named)
    stack = load_stack([written(tmp_path / "two", {"main.tf": two})]).stack
    assert [chain(path) for path in stack.paths] == [["aws_lb.this"]]
    assert "its container_name cannot be read" in told(stack.unjoined)["service shop"]


def test_port_that_no_virtual_host_answers_is_told(tmp_path: Path) -> None:
    files = {
        "infra/main.tf": alb() + whole_service("shop", containers=HTTPD),
        "httpd/Dockerfile": "FROM httpd:2.4\nCOPY httpd.conf /usr/local/apache2/conf/\n",
        "httpd/httpd.conf": "Listen 80\nProxyPass / http://127.0.0.1:8000/\n",
    }
    stack = load_stack([written(tmp_path, files)]).stack
    assert "listens on port 8080" in told(stack.unjoined)["container web"]
    assert [chain(path) for path in stack.paths] == [["aws_lb.this"]]


def test_servers_that_no_container_runs_are_told_with_the_two_commands_that_decide(tmp_path: Path) -> None:
    root = written(tmp_path, {"httpd/httpd.conf": CONF.replace(":8000", ":9000"), **APP})
    stack = load_stack([root]).stack
    assert not stack.paths
    missing = told(stack.unjoined)
    assert set(missing) == {
        f"Apache httpd in {root}/httpd/httpd.conf",
        f"gunicorn in {root}/app/Dockerfile",
    }
    for text in missing.values():
        assert f"`keepalign check {root} TERRAFORM`" in text
        assert f"`keepalign check {root} --in-front aws-alb:idle_timeout=60s`" in text


def test_dockerfile_and_script_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    files = {
        "web/Dockerfile": 'FROM node:24\nCMD ["node", "server.js"]\n',
        "run/entrypoint.sh": "#!/bin/sh\nexec gunicorn app:app\n",
    }
    root = written(tmp_path, files)
    assert told(load_stack([root]).stack.unjoined) == {
        f"Dockerfile {root}/web/Dockerfile": "keepalign has no reader for what web runs"
        f" ({root}/web/Dockerfile)",
        f"gunicorn in {root}/run/entrypoint.sh": "no Dockerfile in the given folders starts it;"
        " give the folder of its Dockerfile too",
    }


def test_only_loose_server_stands_behind_the_only_group_without_a_service(tmp_path: Path) -> None:
    text = alb() + group("shop") + listener("aws_lb.this.arn", "aws_lb_target_group.shop.arn")
    root = written(tmp_path, {"infra/main.tf": text, "web/httpd.conf": CONF})
    loaded = load_stack([root])
    assert [path.name for path in loaded.stack.paths] == ["shop /reports", "shop /"]
    assert all(p.hops[1].joined[-1].by is JoinBy.ONLY_CANDIDATE for p in loaded.stack.paths)
    assert [target.paths for target in loaded.targets] == [("shop /reports", "shop /")]


# Routes and virtual hosts


def test_every_virtual_host_of_the_port_has_its_paths_and_the_first_one_is_run(tmp_path: Path) -> None:
    conf = """\
    Listen 8080
    <VirtualHost *:8080>
        ServerName shop.example
        KeepAliveTimeout 7
        ProxyPass / http://127.0.0.1:8000/
    </VirtualHost>
    <VirtualHost *:8080>
        ServerName blog.example
        ProxyPass / http://127.0.0.1:8000/
    </VirtualHost>
    """
    files = {
        "infra/main.tf": alb() + whole_service("shop", containers=HTTPD),
        "httpd/Dockerfile": "FROM httpd:2.4\nCOPY httpd.conf /usr/local/apache2/conf/\n",
        "httpd/httpd.conf": conf,
    }
    loaded = load_stack([written(tmp_path, files)])
    assert [path.name for path in loaded.stack.paths] == ["shop shop.example /", "shop blog.example /"]
    assert loaded.targets[0].paths == ("shop shop.example /",)


def test_endpoints_that_httpd_answers_itself_have_a_path_of_their_own(tmp_path: Path) -> None:
    conf = "Listen 80\nProxyPass /api/static !\nProxyPass /api http://127.0.0.1:8000/\n"
    toml = '[[endpoint]]\npath = "{}"\nlongest_request = "1s"\n'
    files = {"httpd.conf": conf, "keepalign.toml": toml.format("/api/static/x") + toml.format("/api/y")}
    paths = load_stack([written(tmp_path, files)], in_front=IN_FRONT).stack.paths
    assert {path.route: [e.path for e in path.endpoints] for path in paths} == {
        "/api/static": ["/api/static/x"],
        "/api": ["/api/y"],
    }
    assert Role.UPSTREAM_READ not in paths[0].hops[1].settings


# Declared balancers


def test_gunicorn_alone_is_a_path_and_a_target_behind_a_declared_balancer(tmp_path: Path) -> None:
    root = written(tmp_path, APP)
    loaded = load_stack([root], in_front=IN_FRONT)
    (path,) = loaded.stack.paths
    assert (path.name, chain(path)) == ("app", ["aws-alb", "app"])
    assert path.hops[1].product is Product.GUNICORN
    assert path.hops[1].joined[0].by is JoinBy.HINT
    (target,) = loaded.targets
    assert (target.front, target.port, target.paths) == ("app", 8000, ("app",))
    assert target.programs["app"].folder == f"{root}/app"
    assert not loaded.stack.unjoined


def test_apache_and_what_it_proxies_to_are_one_target_behind_a_declared_balancer(tmp_path: Path) -> None:
    conf = "Listen 8080\nProxyPass / http://127.0.0.1:8000/\n"
    loaded = load_stack([written(tmp_path, {"web/httpd.conf": conf, **APP})], in_front=IN_FRONT)
    (path,) = loaded.stack.paths
    assert chain(path) == ["aws-alb", "httpd", "app"]
    assert path.hops[2].joined[0].by is JoinBy.PORT
    (target,) = loaded.targets
    assert (target.front, target.port, list(target.programs)) == ("httpd", 8080, ["httpd", "app"])


@pytest.mark.parametrize(
    ("url", "by"), [("http://app:8000/", JoinBy.NAME), ("http://web:8000/", JoinBy.ONLY_CANDIDATE)]
)
def test_backend_with_a_name_is_joined_by_it_or_because_nothing_else_has_the_port(
    tmp_path: Path, url: str, by: JoinBy
) -> None:
    files = {"web/httpd.conf": f"Listen 80\nProxyPass / {url}\n", **APP}
    (path,) = load_stack([written(tmp_path, files)], in_front=IN_FRONT).stack.paths
    assert path.hops[2].joined[0].by is by


def test_backend_that_two_may_be_is_told(tmp_path: Path) -> None:
    files = {"web/httpd.conf": "Listen 80\nProxyPass / http://127.0.0.1:8000/\n", **APP}
    files["other/Dockerfile"] = files["app/Dockerfile"]
    root = written(tmp_path, files)
    stack = load_stack([root], in_front=IN_FRONT).stack
    missing = told(stack.unjoined)["backend http://127.0.0.1:8000/ of httpd"]
    assert f"{root}/app/Dockerfile, {root}/other/Dockerfile" in missing
    assert (
        sorted(path.name for path in stack.paths) == ["app", "httpd.conf /", "other"] or len(stack.paths) == 3
    )


def test_backend_in_a_task_is_another_container_of_it(tmp_path: Path) -> None:
    app = GUNICORN.replace('"web"', '"app"', 1).replace(":8080", ":8000")
    files = {
        "infra/main.tf": alb() + whole_service("shop", containers=f"{HTTPD}, {app}"),
        "httpd/Dockerfile": "FROM httpd:2.4.66\nCOPY httpd.conf /usr/local/apache2/conf/\n",
        "httpd/httpd.conf": CONF,
    }
    stack = load_stack([written(tmp_path, files)]).stack
    assert {path.route: chain(path) for path in stack.paths} == {
        "/reports": ["aws_lb.this", "web"],
        "/": ["aws_lb.this", "web", "app"],
    }
    missing = told(stack.unjoined)
    assert missing == {
        "backend http://127.0.0.1:8001/reports of web": "no container of this task listens there"
    }


def test_service_without_its_balancer_stands_behind_the_declared_one(tmp_path: Path) -> None:
    shop = group("shop", more="deregistration_delay = 20") + task("shop", GUNICORN)
    root = written(tmp_path, {"main.tf": shop + service("shop", "aws_lb_target_group.shop.arn")})
    stack = load_stack([root], in_front=IN_FRONT).stack
    (path,) = stack.paths
    assert chain(path) == ["aws-alb", "web"]
    assert path.lifecycle is not None
    assert value_of(path.lifecycle.deregistration_delay) == Duration.of(s=20)
    assert not stack.unjoined
    assert (
        "or declare the balancer: --in-front" in told(load_stack([root]).stack.unjoined)["target group shop"]
    )


def test_delay_of_a_target_group_that_is_not_there_is_declared_or_unknown(tmp_path: Path) -> None:
    shop = 'variable "group" {}\n' + task("shop", GUNICORN) + service("shop", "var.group")
    root = written(tmp_path, {"main.tf": shop})
    (path,) = load_stack([root], in_front=IN_FRONT).stack.paths
    assert path.lifecycle is not None
    assert isinstance(path.lifecycle.deregistration_delay, Unknown)
    (path,) = load_stack([root], in_front=["aws-alb:deregistration_delay=7s"]).stack.paths
    assert path.lifecycle is not None
    assert value_of(path.lifecycle.deregistration_delay) == Duration.of(s=7)


def test_declared_balancer_stands_in_front_of_a_service_without_a_load_balancer_block(tmp_path: Path) -> None:
    root = written(tmp_path, {"main.tf": task("api", GUNICORN) + service("api", "")})
    loaded = load_stack([root], in_front=IN_FRONT)
    assert [(path.name, chain(path)) for path in loaded.stack.paths] == [("api", ["aws-alb", "web"])]
    assert [target.front for target in loaded.targets] == ["web"]
