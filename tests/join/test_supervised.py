"""Several servers in one container: what supervisord starts there, and how they stop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import alb, chain, group, listener, service, task, told, written

from keepalign import rules
from keepalign.fix import repair
from keepalign.join import Loaded, load_stack
from keepalign.model.path import JoinBy, Product, RequestPath
from keepalign.model.setting import Default, Explicit, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

DOCKERFILE = """\
FROM python:3.12-slim
RUN apt-get update && apt-get install -y nginx supervisor
ENV PORT=8001
COPY conf/nginx.conf /etc/nginx/nginx.conf
COPY conf/supervisord.conf /etc/supervisor/conf.d/supervisord.conf
COPY . /app
CMD ["/usr/bin/supervisord", "-n", "-c", "/etc/supervisor/conf.d/supervisord.conf"]
"""
SUPERVISORD = """\
[supervisord]
nodaemon=true
user=root

[program:nginx]
command=/usr/sbin/nginx -g "daemon off;"
autorestart=true

[program:gunicorn]
command=gunicorn --worker-class gthread --bind 127.0.0.1:%(ENV_PORT)s app.main:app
directory=/app
autorestart=true

[program:worker]
command=celery -A app worker
"""
NGINX = """\
events { }
http {
    upstream app { server 127.0.0.1:8001; keepalive 4; }
    server {
        listen 80;
        location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
"""
IMAGE = {
    "web/Dockerfile": DOCKERFILE,
    "web/conf/supervisord.conf": SUPERVISORD,
    "web/conf/nginx.conf": NGINX,
}
CONTAINER = '{ name = "web", image = "registry/web:1", portMappings = [{ containerPort = 80 }] }'


def infra(container: str = CONTAINER) -> str:
    return (
        alb()
        + group("shop")
        + listener("aws_lb.this.arn", "aws_lb_target_group.shop.arn")
        + task("shop", container)
        + service("shop", "aws_lb_target_group.shop.arn", port=80)
    )


def loaded(folder: Path, files: Mapping[str, str], *, container: str = CONTAINER) -> Loaded:
    return load_stack([written(folder, {"main.tf": infra(container), **files})])


def the_path(stack: Loaded) -> RequestPath:
    (path,) = stack.stack.paths
    return path


def test_server_in_front_has_the_containers_name_and_the_others_stand_beside(tmp_path: Path) -> None:
    stack = loaded(tmp_path, IMAGE)
    path = the_path(stack)
    assert chain(path) == ["aws_lb.this", "web", "web/gunicorn"]
    assert [hop.product for hop in path.hops[1:]] == [Product.NGINX, Product.GUNICORN]
    assert path.hops[2].joined[0].by is JoinBy.PORT
    assert not stack.stack.unjoined
    (target,) = stack.targets
    assert set(target.programs) == {"web", "web/gunicorn"}
    assert f"{tmp_path}/web/conf/supervisord.conf" in target.programs["web"].files


def test_environment_of_the_task_reaches_the_programs(tmp_path: Path) -> None:
    container = CONTAINER.replace(
        "portMappings", 'environment = [{ name = "PORT", value = "8002" }], portMappings'
    )
    files = IMAGE | {"web/conf/nginx.conf": NGINX.replace("8001", "8002")}
    assert chain(the_path(loaded(tmp_path, files, container=container)))[-1] == "web/gunicorn"


def test_program_that_listens_elsewhere_is_told(tmp_path: Path) -> None:
    files = IMAGE | {"web/conf/nginx.conf": NGINX.replace("8001", "9000")}
    stack = loaded(tmp_path, files)
    assert told(stack.stack.unjoined) == {
        "backend http://app of web": "no container of this task listens there"
    }


def test_keep_alive_is_written_into_the_programs_section(tmp_path: Path) -> None:
    stack = loaded(tmp_path, IMAGE)
    result = repair(stack.stack, stack.sources, lambda changed: stack.reread(changed).stack)
    text = result.changed[f"{tmp_path}/web/conf/supervisord.conf"].decode()
    assert "app.main:app --keep-alive 90\n" in text


# Stops


def test_supervisord_sends_term_and_waits_ten_seconds(tmp_path: Path) -> None:
    path = the_path(loaded(tmp_path, IMAGE))
    assert path.lifecycle is not None
    steps = {step.container: step for step in path.lifecycle.stops}
    assert {step.signal for step in steps.values()} == {"SIGTERM"}
    assert all(isinstance(step.stop_timeout, Default) for step in steps.values())
    assert all(value_of(step.stop_timeout) == Duration.of(s=10) for step in steps.values())
    assert {step.stop_timeout.option for step in steps.values()} == {"stopwaitsecs"}


@pytest.mark.parametrize(
    ("stop", "wait", "option", "seconds"),
    [("30", "20", "stopwaitsecs", 20), ("20", "30", "stopTimeout", 20), ("20", "20", "stopTimeout", 20)],
)
def test_what_ends_first_counts(tmp_path: Path, stop: str, wait: str, option: str, seconds: float) -> None:
    container = CONTAINER.replace("portMappings", f"stopTimeout = {stop}, portMappings")
    conf = SUPERVISORD.replace("directory=/app", f"directory=/app\nstopwaitsecs={wait}")
    stack = loaded(tmp_path, IMAGE | {"web/conf/supervisord.conf": conf}, container=container)
    lifecycle = the_path(stack).lifecycle
    assert lifecycle is not None
    (step,) = [step for step in lifecycle.stops if step.container == "web/gunicorn"]
    assert isinstance(step.stop_timeout, Explicit)
    assert (step.stop_timeout.option, step.stop_timeout.value) == (option, Duration.of(s=seconds))


def test_nginx_that_gets_term_cuts_and_the_cure_is_its_own_section(tmp_path: Path) -> None:
    stack = loaded(tmp_path, IMAGE)
    (finding,) = [f for f in rules.check(stack.stack).findings if f.cause == "no-graceful-shutdown"]
    assert finding.hop == "web"
    assert finding.mitigation is not None
    assert "`stopsignal=QUIT`" in finding.mitigation.cost
    quit_ = SUPERVISORD.replace('daemon off;"\n', 'daemon off;"\nstopsignal=QUIT\n')
    cured = loaded(tmp_path, IMAGE | {"web/conf/supervisord.conf": quit_})
    assert "no-graceful-shutdown" not in {f.cause for f in rules.check(cured.stack).findings}


# Which configuration


def test_pieces_that_the_image_includes_belong_to_it(tmp_path: Path) -> None:
    head, _, programs = SUPERVISORD.partition("[program:nginx]")
    nginx, _, rest = programs.partition("[program:gunicorn]")
    files = IMAGE | {
        "web/Dockerfile": DOCKERFILE.replace(
            "COPY conf/supervisord.conf /etc/supervisor/conf.d/supervisord.conf",
            "COPY conf/supervisord.conf /etc/supervisord.conf\nCOPY conf/programs/ /etc/supervisor/conf.d/",
        ).replace('"-c", "/etc/supervisor/conf.d/supervisord.conf"', '"-c/etc/supervisord.conf"'),
        "web/conf/supervisord.conf": head + "[include]\nfiles = /etc/supervisor/conf.d/*.conf\n",
        "web/conf/programs/nginx.conf": f"[program:nginx]{nginx}",
        "web/conf/programs/gunicorn.conf": f"[program:gunicorn]{rest}",
    }
    assert chain(the_path(loaded(tmp_path, files)))[1:] == ["web", "web/gunicorn"]


def test_pieces_alone_are_what_the_packages_main_file_includes(tmp_path: Path) -> None:
    head, section, programs = SUPERVISORD.partition("[program:nginx]")
    assert head
    files = IMAGE | {
        "web/Dockerfile": DOCKERFILE.replace(', "-c", "/etc/supervisor/conf.d/supervisord.conf"', ""),
        "web/conf/supervisord.conf": section + programs,
    }
    assert chain(the_path(loaded(tmp_path, files)))[1:] == ["web", "web/gunicorn"]


def test_configuration_that_is_not_certain_is_missing(tmp_path: Path) -> None:
    files = {
        "web/Dockerfile": 'FROM python:3.12\nCMD ["supervisord", "-n"]\n',
        "a/supervisord.conf": SUPERVISORD,
        "b/supervisord.conf": SUPERVISORD,
    }
    missing = told(loaded(tmp_path, files).stack.unjoined)["container web of service shop"]
    assert missing.startswith("several configurations of supervisord (")
    alone = {"web/Dockerfile": files["web/Dockerfile"]}
    missing = told(loaded(tmp_path / "alone", alone).stack.unjoined)["container web of service shop"]
    assert missing.startswith("no configuration of supervisord in the given folders")


def test_supervisord_that_starts_itself_ends(tmp_path: Path) -> None:
    files = IMAGE | {"web/conf/supervisord.conf": "[supervisord]\n[program:x]\ncommand=supervisord -n\n"}
    assert told(loaded(tmp_path, files).stack.unjoined)


def test_one_program_alone_is_the_container(tmp_path: Path) -> None:
    conf = "[supervisord]\n[program:app]\ncommand=gunicorn -k gthread -b :80 app:app\n"
    path = the_path(loaded(tmp_path, IMAGE | {"web/conf/supervisord.conf": conf}))
    assert chain(path) == ["aws_lb.this", "web"]
    assert path.hops[1].product is Product.GUNICORN


def test_program_that_does_not_start_by_itself_is_left_out(tmp_path: Path) -> None:
    conf = SUPERVISORD.replace("directory=/app", "directory=/app\nautostart=false")
    stack = loaded(tmp_path, IMAGE | {"web/conf/supervisord.conf": conf})
    assert told(stack.stack.unjoined) == {
        "backend http://app of web": "no container of this task listens there"
    }


# Elsewhere than on a task


def test_image_that_nothing_runs_has_its_own_loopback(tmp_path: Path) -> None:
    files = IMAGE | {"other/Dockerfile": 'FROM python:3.12\nCMD ["gunicorn", "-b", ":8001", "a:a"]\n'}
    stack = load_stack([written(tmp_path, files)], in_front=["aws-alb:idle_timeout=60s"])
    assert ["aws-alb", "web", "web/gunicorn"] in [chain(path) for path in stack.stack.paths]


def test_service_of_compose_may_run_several_too(tmp_path: Path) -> None:
    compose = "services:\n  shop:\n    build: ./web\n    ports: ['80:80']\n    stop_grace_period: 5s\n"
    stack = load_stack([written(tmp_path, IMAGE | {"compose.yaml": compose})])
    path = the_path(stack)
    assert chain(path) == ["shop", "shop/gunicorn"]
    assert path.lifecycle is not None
    assert {step.stop_timeout.option for step in path.lifecycle.stops} == {"stop_grace_period"}
    assert value_of(path.hops[1].settings[Role.SERVER_IDLE]) == Duration.of(s=2)


# As the guides for Django on a machine have it.
SITE = """\
upstream app_server {
    server unix:/home/ubuntu/shop/app.sock fail_timeout=0;
    keepalive 8;
}
server {
    listen 80;
    location / {
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_pass http://app_server;
    }
}
"""
ON_A_MACHINE = """\
[program:gunicorn]
directory=/home/ubuntu/shop
command=/home/ubuntu/env/bin/gunicorn --workers 3 --bind unix:/home/ubuntu/shop/app.sock shop.wsgi:application

autostart=true
autorestart=true
stderr_logfile=/var/log/gunicorn/gunicorn.err.log

[group:guni]
programs:gunicorn
"""


@pytest.mark.parametrize(
    ("site", "by"),
    [
        (SITE, JoinBy.ONLY_CANDIDATE),
        (
            SITE.replace("http://app_server", "http://unix:/home/ubuntu/shop/app.sock"),
            JoinBy.NAME,
        ),
    ],
)
def test_site_and_program_of_a_machine_meet_at_their_socket(tmp_path: Path, site: str, by: JoinBy) -> None:
    files = {"supervisor/gunicorn.conf": ON_A_MACHINE, "sites/shop.conf": site}
    stack = load_stack([written(tmp_path, files)], in_front=["aws-alb:idle_timeout=60s"])
    path = the_path(stack)
    assert chain(path) == ["aws-alb", "nginx", "gunicorn"]
    assert path.hops[2].joined[0].by is by


def test_socket_of_another_path_is_not_meant(tmp_path: Path) -> None:
    site = SITE.replace("http://app_server", "http://unix:/run/other.sock")
    files = {"supervisor/gunicorn.conf": ON_A_MACHINE, "sites/shop.conf": site}
    stack = load_stack([written(tmp_path, files)], in_front=["aws-alb:idle_timeout=60s"])
    assert ["aws-alb", "nginx"] in [chain(path) for path in stack.stack.paths]
    assert "backend http://unix:/run/other.sock of nginx" in told(stack.stack.unjoined)


def test_program_of_a_machine_is_told_by_itself(tmp_path: Path) -> None:
    stack = load_stack([written(tmp_path, {"supervisor/gunicorn.conf": ON_A_MACHINE})])
    assert list(told(stack.stack.unjoined)) == [f"gunicorn in {tmp_path}/supervisor/gunicorn.conf"]


def test_proxy_of_an_image_is_judged_without_a_balancer(tmp_path: Path) -> None:
    stack = load_stack([written(tmp_path, IMAGE)])
    assert chain(the_path(stack)) == ["web", "web/gunicorn"]
    assert list(told(stack.stack.unjoined)) == [f"nginx in {tmp_path}/web/Dockerfile"]
    assert "backend-keepalive-below-proxy-idle" in {f.cause for f in rules.check(stack.stack).findings}
