"""Docker Compose, task definitions as JSON and Procfiles: what becomes a path, and what is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import GUNICORN, alb, chain, group, listener, service, told, whole_service, written

from keepalign import rules
from keepalign.fix import repair
from keepalign.join import Loaded, load_stack
from keepalign.model.path import Hop, JoinBy, Product
from keepalign.model.setting import Default, Disabled, Explicit, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

APP = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\n"
CONF = """\
upstream app_server {
    server app:8000;
    keepalive 32;
}
server {
    listen 80;
    location / {
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_read_timeout 60s;
        proxy_pass http://app_server;
    }
    location /static/ {
        alias /static/;
    }
}
"""
# As in the many repositories that run Django this way.
COMPOSE = """\
version: "3.8"

services:
  app:
    build: ./app
    command: gunicorn shop.wsgi:application --bind 0.0.0.0:8000 --worker-class gthread --timeout 300
    volumes:
      - static_volume:/static
    expose:
      - 8000
    env_file:
      - ./.env
    depends_on:
      - db
  db:
    image: postgres:15
  nginx:
    image: nginx:1.29.7-alpine
    volumes:
      - ./nginx/default.conf:/etc/nginx/conf.d/default.conf:ro
      - static_volume:/static
    ports:
      - "80:80"
    depends_on:
      - app

volumes:
  static_volume:
"""
FILES = {
    "docker-compose.yml": COMPOSE,
    "nginx/default.conf": CONF,
    "app/Dockerfile": APP,
    ".env": "SECRET_KEY=hunter2\n",
}


def loaded(folder: Path, files: Mapping[str, str], *, in_front: str = "") -> Loaded:
    return load_stack([written(folder, files)], in_front=[in_front] if in_front else [])


def causes(stack: Loaded) -> set[str]:
    return {finding.cause for finding in rules.check(stack.stack).findings}


def fixed(stack: Loaded) -> dict[str, str]:
    """The files that a fix changes, below the root, with what it writes there anew."""
    result = repair(stack.stack, stack.sources, lambda changed: stack.reread(changed).stack)
    before = {file: stack.sources[file].data.decode().splitlines() for file in result.changed}
    return {
        file: "\n".join(line for line in data.decode().splitlines() if line not in before[file])
        for file, data in result.changed.items()
    }


def the_hops(stack: Loaded) -> tuple[Hop, ...]:
    (path,) = stack.stack.paths
    return path.hops


# nginx in front of gunicorn


def test_path_begins_at_the_proxy_and_its_front_is_told(tmp_path: Path) -> None:
    stack = loaded(tmp_path, FILES)
    nginx, app = the_hops(stack)
    assert (nginx.name, nginx.product, nginx.version) == ("nginx", Product.NGINX, "1.29.7")
    assert (app.name, app.product) == ("app", Product.GUNICORN)
    assert value_of(nginx.settings[Role.UPSTREAM_READ]) == Duration.of(s=60)
    assert [one.text for one in nginx.joined] == [
        f"{tmp_path}/docker-compose.yml mounts {tmp_path}/nginx/default.conf"
    ]
    assert [(one.by, one.text) for one in app.joined] == [
        (JoinBy.NAME, "http://app_server names container app"),
        (JoinBy.REFERENCE, f"app is built from {tmp_path}/app/Dockerfile"),
    ]
    (missing,) = told(stack.stack.unjoined).values()
    assert missing.count("`keepalign check ") == 2
    assert "--in-front aws-alb:idle_timeout=60s" in missing
    assert not stack.targets, "nothing is asked without a balancer"


def test_pool_of_the_proxy_is_judged_and_its_fix_goes_into_the_compose_file(tmp_path: Path) -> None:
    stack = loaded(tmp_path, FILES)
    assert "backend-keepalive-below-proxy-idle" in causes(stack)
    ((file, line),) = fixed(stack).items()
    assert file == f"{tmp_path}/docker-compose.yml"
    assert line.endswith("--timeout 300 --keep-alive 90")


def test_keep_alive_that_is_long_enough_is_none(tmp_path: Path) -> None:
    files = FILES | {"docker-compose.yml": COMPOSE.replace("--timeout 300", "--keep-alive 75")}
    assert "backend-keepalive-below-proxy-idle" not in causes(loaded(tmp_path, files))


def test_keep_alive_that_equals_the_pool_races(tmp_path: Path) -> None:
    files = FILES | {"docker-compose.yml": COMPOSE.replace("--timeout 300", "--keep-alive 60")}
    assert "backend-keepalive-below-proxy-idle" in causes(loaded(tmp_path, files))


def test_declared_balancer_stands_in_front_of_the_service_that_publishes(tmp_path: Path) -> None:
    stack = loaded(tmp_path, FILES, in_front="aws-alb:idle_timeout=60s")
    assert [chain(path) for path in stack.stack.paths] == [["aws-alb", "nginx", "app"]]
    assert not stack.stack.unjoined
    (target,) = stack.targets
    assert (target.front, target.port) == ("nginx", 80)


def test_secrets_of_an_environment_file_are_nowhere(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, FILES | {"docker-compose.yml": COMPOSE.replace("--bind", "-k ${SECRET_KEY} --bind")}
    )
    assert not any(file.endswith(".env") for file in stack.sources)
    assert not any("hunter2" in note.text for note in stack.notes)
    assert "hunter2" not in "".join(unjoined.missing for unjoined in stack.stack.unjoined)


def test_value_of_dotenv_counts_and_its_place_is_named(tmp_path: Path) -> None:
    command = COMPOSE.replace("--timeout 300", "--keep-alive ${KEEP:-2}")
    stack = loaded(tmp_path, FILES | {"docker-compose.yml": command, ".env": "KEEP=75\n"})
    _, app = the_hops(stack)
    keep = app.settings[Role.SERVER_IDLE]
    assert isinstance(keep, Explicit)
    assert keep.value == Duration.of(s=75)
    assert [step.span.place for step in keep.origin.steps][-1] == f"KEEP in {tmp_path}/.env"


def test_default_in_the_file_is_edited_where_it_stands(tmp_path: Path) -> None:
    command = COMPOSE.replace("--timeout 300", "--keep-alive ${KEEP:-2}")
    (line,) = fixed(loaded(tmp_path, FILES | {"docker-compose.yml": command, ".env": ""})).values()
    assert line.endswith("--keep-alive ${KEEP:-90}")


@pytest.mark.parametrize(
    ("environment", "env_file", "seconds"),
    [
        ("", "GUNICORN_CMD_ARGS=--keep-alive=61\n", 61),
        ("      GUNICORN_CMD_ARGS: --keep-alive=62\n", "GUNICORN_CMD_ARGS=--keep-alive=61\n", 62),
        ("      GUNICORN_CMD_ARGS: ${ARGS:---keep-alive=63}\n", "", 63),
        ("      OTHER: 1\n", "", 2),
    ],
)
def test_environment_wins_over_the_file_and_both_over_the_image(
    tmp_path: Path, environment: str, env_file: str, seconds: float
) -> None:
    compose = COMPOSE
    if environment:
        compose = COMPOSE.replace("    depends_on:\n      - db\n", f"    environment:\n{environment}", 1)
    files = FILES | {"docker-compose.yml": compose, ".env": env_file}
    _, app = the_hops(loaded(tmp_path, files))
    assert value_of(app.settings[Role.SERVER_IDLE]) == Duration.of(s=seconds)


def test_image_environment_loses(tmp_path: Path) -> None:
    compose = COMPOSE.replace("    env_file:\n      - ./.env\n", "    environment: [GUNICORN_CMD_ARGS=]\n")
    files = FILES | {"docker-compose.yml": compose}
    files["app/Dockerfile"] = APP + "ENV GUNICORN_CMD_ARGS=--keep-alive=99\n"
    _, app = the_hops(loaded(tmp_path, files))
    assert value_of(app.settings[Role.SERVER_IDLE]) == Duration.of(s=2)


# Who reaches whom


@pytest.mark.parametrize(
    ("more", "host"),
    [
        ("    container_name: shop_app\n", "shop_app"),
        ("    networks: {default: {aliases: [backend]}}\n", "backend"),
        ("    hostname: api.internal\n", "api.internal"),
    ],
)
def test_services_are_known_by_their_further_names(tmp_path: Path, more: str, host: str) -> None:
    files = FILES | {
        "docker-compose.yml": COMPOSE.replace("    build: ./app\n", f"    build: ./app\n{more}"),
        "nginx/default.conf": CONF.replace("app:8000", f"{host}:8000"),
    }
    assert [hop.name for hop in the_hops(loaded(tmp_path, files))] == ["nginx", "app"]


def test_loopback_of_a_service_is_its_own(tmp_path: Path) -> None:
    files = FILES | {"nginx/default.conf": CONF.replace("app:8000", "127.0.0.1:8000")}
    stack = loaded(tmp_path, files)
    assert not stack.stack.paths
    missing = told(stack.stack.unjoined)
    assert missing["backend http://app_server of nginx"] == "no service of this project listens there"


def test_services_of_one_network_namespace_share_a_loopback(tmp_path: Path) -> None:
    compose = COMPOSE.replace(
        "    image: nginx:1.29.7-alpine\n", "    image: nginx\n    network_mode: service:app\n"
    )
    files = FILES | {
        "docker-compose.yml": compose,
        "nginx/default.conf": CONF.replace("app:8000", "localhost:8000"),
    }
    assert [hop.name for hop in the_hops(loaded(tmp_path, files))] == ["nginx", "app"]


def test_name_that_no_service_has_is_told(tmp_path: Path) -> None:
    stack = loaded(tmp_path, FILES | {"nginx/default.conf": CONF.replace("app:8000", "api:8000")})
    missing = told(stack.stack.unjoined)["backend http://app_server of nginx"]
    assert missing.startswith("no service of this project has this name")


def test_service_that_nobody_leads_to_is_told(tmp_path: Path) -> None:
    more = "  jobs:\n    build: ./app\n    command: gunicorn -b :9000 jobs:app\n"
    compose = COMPOSE.replace("  db:\n", f"{more}  db:\n")
    stack = loaded(tmp_path, FILES | {"docker-compose.yml": compose})
    what = f"container jobs of {tmp_path}/docker-compose.yml"
    assert told(stack.stack.unjoined)[what].startswith("it publishes no port")


def test_app_that_publishes_a_port_by_itself_is_only_told(tmp_path: Path) -> None:
    compose = (
        "services:\n  app:\n    build: ./app\n    command: gunicorn -b :8000 a:a\n    ports: ['80:8000']\n"
    )
    stack = loaded(tmp_path, {"compose.yaml": compose, "app/Dockerfile": APP})
    assert not stack.stack.paths
    assert list(told(stack.stack.unjoined)) == [f"gunicorn in container app of {tmp_path}/compose.yaml"]


def test_configuration_that_is_mounted_hides_that_of_the_image(tmp_path: Path) -> None:
    files = FILES | {
        "docker-compose.yml": COMPOSE.replace("image: nginx:1.29.7-alpine", "build: ./nginx"),
        "nginx/Dockerfile": "FROM nginx:1.29.7\nCOPY image.conf /etc/nginx/conf.d/default.conf\n",
        "nginx/image.conf": CONF.replace("60s", "5s"),
    }
    nginx, _ = the_hops(loaded(tmp_path, files))
    assert value_of(nginx.settings[Role.UPSTREAM_READ]) == Duration.of(s=60)


def test_mounted_folder_of_an_image_that_nobody_builds_configures_its_server(tmp_path: Path) -> None:
    compose = """\
services:
  app:
    image: python:3.12
    working_dir: /srv
    volumes: ["./app:/srv"]
    command: gunicorn -c conf/gunicorn_conf.py -b :8000 a:a
  nginx:
    image: nginx:1.29.7
    volumes: ["./nginx/default.conf:/etc/nginx/conf.d/default.conf"]
    ports: ["80:80"]
"""
    files = {
        "docker-compose.yml": compose,
        "nginx/default.conf": CONF,
        "app/conf/gunicorn_conf.py": "worker_class = 'gthread'\nkeepalive = 77\n",
    }
    _, app = the_hops(loaded(tmp_path, files))
    assert value_of(app.settings[Role.SERVER_IDLE]) == Duration.of(s=77)


def test_stage_that_is_the_target_is_run(tmp_path: Path) -> None:
    compose = """\
services:
  app: {build: {context: ./app, target: prod}}
  nginx:
    image: nginx:1.29.7
    volumes: ["./nginx/default.conf:/etc/nginx/conf.d/default.conf"]
    ports: ["80:80"]
"""
    stages = """\
FROM python:3.12 AS base
FROM base AS prod
CMD gunicorn -b :8000 -k gthread --keep-alive 70 a:a
FROM base AS dev
CMD ["flask", "run"]
"""
    files = FILES | {"docker-compose.yml": compose, "app/Dockerfile": stages}
    _, app = the_hops(loaded(tmp_path, files))
    assert value_of(app.settings[Role.SERVER_IDLE]) == Duration.of(s=70)


# Stops


def test_stop_grace_of_compose_is_what_kills(tmp_path: Path) -> None:
    stack = loaded(tmp_path, FILES)
    (path,) = stack.stack.paths
    assert path.lifecycle is not None
    assert path.lifecycle.platform == "docker"
    assert isinstance(path.lifecycle.deregistration_delay, Disabled)
    steps = {step.container: step for step in path.lifecycle.stops}
    assert (steps["nginx"].signal, steps["app"].signal) == ("SIGQUIT", "SIGTERM")
    assert isinstance(steps["app"].stop_timeout, Default)
    assert value_of(steps["app"].stop_timeout) == Duration.of(s=10)


@pytest.mark.parametrize(
    ("graceful", "grace", "found"), [("60", "30s", True), ("60", "60s", True), ("60", "61s", False)]
)
def test_stop_grace_below_the_servers_own_is_found(
    tmp_path: Path, graceful: str, grace: str, found: bool
) -> None:
    compose = COMPOSE.replace("--timeout 300", f"--graceful-timeout {graceful}").replace(
        "    build: ./app\n", f"    build: ./app\n    stop_grace_period: {grace}\n"
    )
    stack = loaded(tmp_path, FILES | {"docker-compose.yml": compose})
    findings = [f for f in rules.check(stack.stack).findings if f.cause == "stop-timeout-below-drain"]
    assert [finding.hop for finding in findings] == ["app"] * found
    assert all("at every stop" in finding.symptom.text for finding in findings)


def test_stop_signal_of_the_service_wins_over_the_images(tmp_path: Path) -> None:
    compose = COMPOSE.replace("image: nginx:1.29.7-alpine", "image: nginx\n    stop_signal: SIGTERM")
    stack = loaded(tmp_path, FILES | {"docker-compose.yml": compose})
    (finding,) = [f for f in rules.check(stack.stack).findings if f.cause == "no-graceful-shutdown"]
    assert finding.hop == "nginx"


# Development beside what is deployed

TASK = (
    '{ name = "web", image = "registry/app:1", command = ["gunicorn", "--bind", ":8080", "a:a"],'
    " portMappings = [{ containerPort = 8080 }] }"
)


def test_stand_in_of_what_is_deployed_adds_nothing(tmp_path: Path) -> None:
    stack = loaded(tmp_path, FILES | {"main.tf": alb() + whole_service("shop", containers=TASK)})
    assert [chain(path) for path in stack.stack.paths] == [["aws_lb.this", "web"]]
    assert not stack.stack.unjoined


def test_front_of_compose_that_is_deployed_nowhere_is_told_beside(tmp_path: Path) -> None:
    compose = COMPOSE.replace("  db:\n", "  admin:\n    build: ./admin\n    ports: ['81:81']\n  db:\n")
    files = FILES | {
        "docker-compose.yml": compose,
        "admin/Dockerfile": 'FROM python:3.12\nCMD ["gunicorn", "-b", ":81", "a:a"]\n',
        "main.tf": alb() + whole_service("shop", containers=TASK),
    }
    stack = loaded(tmp_path, files)
    assert list(told(stack.stack.unjoined)) == [
        f"gunicorn in container admin of {tmp_path}/docker-compose.yml"
    ]


def test_stack_of_production_is_judged_beside_that_of_development(tmp_path: Path) -> None:
    dev = "services: {app: {build: ./app, command: python manage.py runserver, ports: ['80:8000']}}"
    files = FILES | {"docker-compose.yml": dev, "docker-compose.prod.yml": COMPOSE}
    stack = loaded(tmp_path, files)
    (path,) = stack.stack.paths
    assert path.name == f"{tmp_path}/docker-compose.prod.yml /"


def test_compose_file_that_cannot_be_read_is_noted(tmp_path: Path) -> None:
    files = {"docker-compose.yml": "services:\n{% if x %}\n", "app/Dockerfile": APP + "CMD gunicorn a:a\n"}
    stack = loaded(tmp_path, files)
    (note,) = stack.notes
    assert f"{tmp_path}/docker-compose.yml was not used: it is no YAML" in note.text


# Task definitions as JSON

JSON = """\
{
  "family": "shop",
  "containerDefinitions": [
    {
      "name": "web",
      "image": "<IMAGE1_NAME>",
      "portMappings": [{ "containerPort": 8080 }],
      "command": ["gunicorn", "--worker-class", "gthread", "--bind", ":8080", "app:app"]
    }
  ]
}
"""


def behind_a_balancer(task: str) -> str:
    return (
        alb()
        + group("shop")
        + listener("aws_lb.this.arn", "aws_lb_target_group.shop.arn")
        + service("shop", "aws_lb_target_group.shop.arn", task=task)
    )


@pytest.mark.parametrize(
    ("task", "by"),
    [
        ("data.aws_ecs_task_definition.shop.arn", JoinBy.NAME),
        ('"shop:7"', JoinBy.NAME),
        ("var.task", JoinBy.NAME),
    ],
)
def test_service_runs_the_task_definition_of_its_family(tmp_path: Path, task: str, by: JoinBy) -> None:
    infra = 'variable "task" {}\n' + behind_a_balancer(task)
    other = JSON.replace('"shop"', '"other"')
    stack = loaded(tmp_path, {"infra/main.tf": infra, ".aws/taskdef.json": JSON, "x/taskdef.json": other})
    (path,) = stack.stack.paths
    assert chain(path) == ["aws_lb.this", "web"]
    assert by in [one.by for one in path.hops[1].joined]


def test_fix_edits_the_task_definition(tmp_path: Path) -> None:
    infra = behind_a_balancer("data.aws_ecs_task_definition.shop.arn")
    stack = loaded(tmp_path, {"infra/main.tf": infra, ".aws/taskdef.json": JSON})
    assert "backend-keepalive-below-lb-idle" in causes(stack)
    ((file, line),) = fixed(stack).items()
    assert file == f"{tmp_path}/.aws/taskdef.json"
    assert line.endswith('"app:app", "--keep-alive", "90"]')


def test_task_definition_without_a_service_waits_for_a_balancer(tmp_path: Path) -> None:
    root = {".aws/taskdef.json": JSON}
    stack = loaded(tmp_path, root)
    assert list(told(stack.stack.unjoined)) == ["gunicorn in container web of task definition shop"]
    declared = loaded(tmp_path, root, in_front="aws-alb:idle_timeout=60s")
    assert [chain(path) for path in declared.stack.paths] == [["aws-alb", "web"]]


def test_second_task_definition_of_a_family_is_told(tmp_path: Path) -> None:
    infra = alb() + whole_service("shop", containers=GUNICORN)
    stack = loaded(tmp_path, {"infra/main.tf": infra, ".aws/taskdef.json": JSON})
    assert len(stack.stack.paths) == 1
    (missing,) = told(stack.stack.unjoined).values()
    assert missing.startswith("the service runs the one of this family at")


# Procfile


def test_web_process_of_a_procfile_is_told_with_what_heroku_does(tmp_path: Path) -> None:
    files = {"Procfile": "web: gunicorn app.wsgi --timeout 60 --log-file -\nworker: celery\n"}
    stack = loaded(tmp_path, files)
    ((what, missing),) = told(stack.stack.unjoined).items()
    assert what == f"gunicorn in {tmp_path}/Procfile"
    assert missing.count("`keepalign check ") == 2
    assert "90 s" in missing


def test_procfile_behind_a_declared_balancer_is_a_path(tmp_path: Path) -> None:
    files = {
        "Procfile": "web: gunicorn app.wsgi --worker-class gthread --config conf/gunicorn.py\n",
        "conf/gunicorn.py": "keepalive = 95\n",
        "requirements.txt": "gunicorn==23.0.0\n",
    }
    stack = loaded(tmp_path, files, in_front="aws-alb:idle_timeout=90s")
    (path,) = stack.stack.paths
    assert value_of(path.hops[1].settings[Role.SERVER_IDLE]) == Duration.of(s=95)
    assert path.hops[1].version == "23.0.0"


def test_procfile_beside_a_dockerfile_that_runs_adds_nothing(tmp_path: Path) -> None:
    files = {
        "app/Dockerfile": APP,
        "app/Procfile": "web: gunicorn app.wsgi\n",
        "main.tf": alb() + whole_service("shop", containers=TASK),
    }
    assert not loaded(tmp_path, files).stack.unjoined


def test_report_of_a_stack_of_compose_says_what_stops_it(tmp_path: Path) -> None:
    stack = loaded(tmp_path, FILES)
    (path,) = stack.stack.paths
    views = [view for view in rules.check(stack.stack).ladders[path.name] if view.subject == ""]
    options = [rung.setting.option for view in views for rung in view.rungs]
    assert "stop_grace_period" in options
    assert "deregistration delay" not in options


def test_declared_balancer_keeps_what_is_known_of_the_stop(tmp_path: Path) -> None:
    declared = "aws-alb:idle_timeout=60s,deregistration_delay=90s"
    (path,) = loaded(tmp_path, FILES, in_front=declared).stack.paths
    assert path.lifecycle is not None
    assert value_of(path.lifecycle.deregistration_delay) == Duration.of(s=90)
    assert {step.container for step in path.lifecycle.stops} >= {"nginx", "app"}
    without = loaded(tmp_path, FILES, in_front="aws-alb:idle_timeout=60s")
    assert "deregistration-below-longest-request" not in {
        one.cause for one in rules.check(without.stack).undecided
    }


def test_project_without_a_known_server_says_what_is_missing(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "services: {app: {build: ., ports: ['80:80']}, db: {image: redis, ports: ['1:1']}}",
        "Dockerfile": 'FROM elixir:1.17\nCMD ["mix", "phx.server"]\n',
    }
    missing = told(loaded(tmp_path, files).stack.unjoined)
    assert missing == {
        f"container app of {tmp_path}/compose.yaml": (
            f"keepalign has no reader for what app runs ({tmp_path}/Dockerfile)"
        )
    }


def test_override_file_is_part_of_the_project(tmp_path: Path) -> None:
    override = "services:\n  app:\n    command: gunicorn -b :8000 -k gthread --keep-alive 71 shop.wsgi\n"
    _, app = the_hops(loaded(tmp_path, FILES | {"docker-compose.override.yml": override}))
    keep = app.settings[Role.SERVER_IDLE]
    assert isinstance(keep, Explicit)
    assert keep.value == Duration.of(s=71)
    assert keep.origin.use is not None
    assert keep.origin.use.file.endswith("docker-compose.override.yml")


def test_script_with_an_exec_runs_the_command_of_the_service(tmp_path: Path) -> None:
    files = FILES | {
        "app/Dockerfile": APP + 'COPY entrypoint.sh /\nENTRYPOINT ["/entrypoint.sh"]\n',
        "app/entrypoint.sh": '#!/bin/sh\n. /etc/environment\npython manage.py migrate\nexec "$@"\n',
        "scripts/lint.sh": "#!/bin/sh\n. ./common.sh\n",
    }
    found = loaded(tmp_path, files)
    assert [hop.name for hop in the_hops(found)] == ["nginx", "app"]
    notes = [(note.span.file, note.text) for note in found.notes if note.span is not None]
    # Only of the script that runs: nobody waits for the other.
    assert notes == [
        (f"{tmp_path}/app/entrypoint.sh", "a script that is read in here may set further variables")
    ]


def test_image_that_compose_starts_as_a_worker_only_still_serves_with_its_own_command(tmp_path: Path) -> None:
    files = {
        "docker-compose.yml": "services:\n  worker:\n    build: app\n    command: celery -A shop worker\n",
        "app/Dockerfile": "FROM python:3.12\nCMD uvicorn --port 8000 shop:app\n",
    }
    missing = told(loaded(tmp_path, files).stack.unjoined)
    assert any("no load balancer in the given folders" in text for text in missing.values())
    unread = files | {"app/Dockerfile": "FROM python:3.12\nCMD serve-shop\n"}
    assert not [one for one in told(loaded(tmp_path / "a", unread).stack.unjoined) if "Dockerfile" in one]
    files["docker-compose.yml"] += "  web:\n    build: app\n    ports: ['8000:8000']\n"
    missing = told(loaded(tmp_path / "b", files).stack.unjoined)
    assert sum("no load balancer in the given folders" in text for text in missing.values()) == 1


def test_node_behind_nginx_needs_no_dockerfile(tmp_path: Path) -> None:
    compose = """\
services:
  app:
    image: node:20-alpine
    working_dir: /usr/src/app
    volumes:
      - ./:/usr/src/app
    command: node server.js
    expose: ["3000"]
  nginx:
    image: nginx:1.29.7
    volumes: ["./nginx/default.conf:/etc/nginx/conf.d/default.conf"]
    ports: ["80:80"]
"""
    files = {
        "docker-compose.yml": compose,
        "nginx/default.conf": CONF.replace("app:8000", "app:3000"),
        "package.json": '{"name": "shop", "main": "server.js"}',
        "server.js": "const s = http.createServer(f);\ns.keepAliveTimeout = 71000;\ns.listen(3000);\n",
    }
    _, app = the_hops(loaded(tmp_path, files))
    assert (app.product, app.version) == (Product.NODEJS, "20")
    assert value_of(app.settings[Role.SERVER_IDLE]) == Duration.of(s=71)


def test_only_stack_stands_behind_the_only_target_group_that_nothing_fills(tmp_path: Path) -> None:
    infra = alb() + group("shop") + listener("aws_lb.this.arn", "aws_lb_target_group.shop.arn")
    stack = loaded(tmp_path, FILES | {"infra/main.tf": infra})
    (path,) = stack.stack.paths
    assert chain(path) == ["aws_lb.this", "nginx", "app"]
    assert JoinBy.ONLY_CANDIDATE in [one.by for one in path.hops[1].joined]
    assert path.lifecycle is not None
    assert value_of(path.lifecycle.deregistration_delay) == Duration.of(s=300)
    assert not stack.stack.unjoined


def test_of_two_stacks_none_is_taken_for_what_a_target_group_holds(tmp_path: Path) -> None:
    infra = alb() + group("shop") + listener("aws_lb.this.arn", "aws_lb_target_group.shop.arn")
    files = FILES | {"infra/main.tf": infra, "docker-compose.prod.yml": COMPOSE}
    stack = loaded(tmp_path, files)
    assert ["aws_lb.this"] in [chain(path) for path in stack.stack.paths]
    assert "target group shop" in told(stack.stack.unjoined)
