"""What stands between process 1 and the server: scripts, shells and npm, in the images that people use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.join.trees import alb, whole_service, written

from keepalign import rules
from keepalign.join import Loaded, load_stack
from keepalign.model.finding import Finding, Undecided
from keepalign.rules import stop_signal_not_passed_on as rule

PACKAGE = '{ "scripts": { "start": "%s" }, "main": "server.js" }'
SERVER = """
const server = require("express")().listen(8080);
server.keepAliveTimeout = 75000;
process.on("SIGTERM", () => server.close());
"""


def loaded(folder: Path, dockerfile: str, files: dict[str, str] | None = None) -> Loaded:
    """A service behind a balancer; `{}` in the names stands for its folder."""
    container = '{ name = "web", image = "registry/web:1", portMappings = [{ containerPort = 8080 }] }'
    service = whole_service("shop", containers=container)
    tree = {"main.tf": alb() + service, "web/Dockerfile": dockerfile}
    return load_stack([written(folder, tree | {f"web/{k}": v for k, v in (files or {}).items()})])


def traits(stack: Loaded) -> dict[str, str]:
    """Of the one server."""
    (path,) = stack.stack.paths
    return dict(path.hops[-1].traits)


GUNICORN = "gunicorn shop.wsgi:application --bind 0.0.0.0:8080"


@pytest.mark.parametrize(
    ("dockerfile", "says"),
    [
        (
            f"FROM python:3\nCMD {GUNICORN}\n",
            "`/bin/sh -c` runs it without exec: the shell of python:3 (dash)",
        ),
        (
            f"FROM python:3.12-slim-bookworm\nENTRYPOINT python manage.py migrate && {GUNICORN}\n",
            "`/bin/sh -c` runs it",
        ),
        (
            f'FROM python:3\nCMD ["sh", "-c", "python manage.py migrate && {GUNICORN}"]\n',
            "`sh -c` runs it without exec",
        ),
        (f'FROM debian:12\nCMD ["/bin/sh", "-c", "{GUNICORN}"]\n', "`/bin/sh -c` runs it without exec"),
        (f'FROM registry/base:1\nCMD ["dash", "-c", "{GUNICORN}"]\n', "`dash -c` runs it without exec"),
    ],
)
def test_debian_s_shell_stays_in_front_of_its_command(dockerfile: str, says: str, tmp_path: Path) -> None:
    assert traits(loaded(tmp_path, dockerfile))["stop_signals"].startswith(says)


@pytest.mark.parametrize(
    "dockerfile",
    [
        f"FROM python:3\nCMD {json.dumps(GUNICORN.split())}\n",
        f"FROM python:3\nCMD exec {GUNICORN}\n",
        f'FROM python:3\nCMD ["sh", "-c", "python manage.py migrate && exec {GUNICORN}"]\n',
        f"FROM python:3.12-alpine3.20\nCMD {GUNICORN}\n",
        f"FROM alpine:3.20\nCMD {GUNICORN}\n",
        f"FROM public.ecr.aws/amazonlinux/amazonlinux:2023\nCMD {GUNICORN}\n",
        f"FROM registry.access.redhat.com/ubi9/python-312\nCMD {GUNICORN}\n".replace("python-312", "ubi9"),
        f'FROM python:3\nCMD ["bash", "-c", "python manage.py migrate && {GUNICORN}"]\n',
    ],
)
def test_what_gives_its_place_away_is_not_in_the_way(dockerfile: str, tmp_path: Path) -> None:
    found = traits(loaded(tmp_path, dockerfile))
    assert not found.keys() & {"stop_signals", "stop_signals_doubt"}
    assert found["worker_class"] == "sync"


@pytest.mark.parametrize(
    ("entrypoint", "says"),
    [
        ('["tini", "--"]', "ends without passing the signal on"),
        ('["/usr/bin/tini", "-v", "--"]', "ends without passing the signal on"),
        ('["/sbin/tini", "-g", "--"]', ""),
        ('["tini", "-vg", "--"]', ""),
        ('["dumb-init", "--"]', ""),
        ('["/usr/bin/dumb-init"]', ""),
        ('["dumb-init", "--single-child", "--"]', "ends without passing the signal on"),
    ],
)
def test_init_in_front_of_a_shell_helps_where_it_signals_all_processes(
    entrypoint: str, says: str, tmp_path: Path
) -> None:
    found = traits(loaded(tmp_path, f"FROM python:3\nENTRYPOINT {entrypoint}\nCMD {GUNICORN}\n"))
    assert found["worker_class"] == "sync"
    assert found.get("stop_signals", "").endswith(says)
    assert bool(says) == ("stop_signals" in found)


def test_shell_instruction_says_which_shell_it_is(tmp_path: Path) -> None:
    dockerfile = f'FROM python:3\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\nCMD {GUNICORN}\n'
    assert "stop_signals" not in traits(loaded(tmp_path, dockerfile))


def test_shell_of_an_unknown_image_is_a_doubt(tmp_path: Path) -> None:
    found = traits(loaded(tmp_path, f"FROM registry/base:1\nCMD {GUNICORN}\n"))
    assert "stop_signals" not in found
    assert found["stop_signals_doubt"].endswith("depends on which one /bin/sh is")


@pytest.mark.parametrize(
    ("script", "trait"),
    [
        ("#!/bin/bash\npython manage.py migrate\n%s --log-level info\n", "stop_signals"),
        ("#!/usr/bin/env sh\nset -o errexit\necho 'Starting.'\n%s\n", "stop_signals"),
        ("#!/usr/bin/env bash\nset -euo pipefail\npython manage.py migrate\nexec %s\n", ""),
        ("#!/bin/sh\ntrap 'kill -TERM $PID' TERM\n%s\n", "stop_signals_doubt"),
    ],
)
@pytest.mark.parametrize("base", ["python:3", "python:3-alpine", "amazonlinux:2"])
def test_script_stays_unless_it_execs_whatever_the_image(
    script: str, trait: str, base: str, tmp_path: Path
) -> None:
    dockerfile = f'FROM {base}\nCOPY start.sh /\nENTRYPOINT ["/start.sh"]\n'
    found = traits(loaded(tmp_path, dockerfile, {"start.sh": script % GUNICORN}))
    assert found.keys() & {"stop_signals", "stop_signals_doubt"} == ({trait} if trait else set())


def test_script_that_hands_on_to_a_shell_form_leaves_the_shell(tmp_path: Path) -> None:
    dockerfile = f'FROM python:3\nCOPY entry.sh /\nENTRYPOINT ["/entry.sh"]\nCMD {GUNICORN}\n'
    script = '#!/bin/sh\nset -e\npython manage.py migrate\nexec "$@"\n'
    assert traits(loaded(tmp_path, dockerfile, {"entry.sh": script}))["stop_signals"].startswith(
        "`/bin/sh -c`"
    )


def test_script_in_shell_form_stays_behind_its_shell(tmp_path: Path) -> None:
    dockerfile = "FROM python:3-alpine\nCOPY run.sh /\nENTRYPOINT /run.sh\n"
    found = traits(loaded(tmp_path, dockerfile, {"run.sh": f"#!/bin/sh\n{GUNICORN}\n"}))
    assert found["stop_signals"].startswith("the script run.sh runs it without exec")


@pytest.mark.parametrize(
    ("base", "command", "script", "trait"),
    [
        ("node:20", '["npm", "start"]', "node server.js", "stop_signals"),
        ("node:20-slim", "npm run start", "node server.js", "stop_signals"),
        ("node:20", '["npm", "start"]', "exec node server.js", ""),
        ("node:20-alpine", '["npm", "start"]', "node server.js", ""),
        ("node:20", '["yarn", "start"]', "node server.js", "stop_signals_doubt"),
        ("node:20-alpine", '["pnpm", "start"]', "node server.js", "stop_signals_doubt"),
        ("node:20", '["node", "server.js"]', "node server.js", ""),
    ],
)
def test_npm_passes_signals_to_the_shell_of_its_script(
    base: str, command: str, script: str, trait: str, tmp_path: Path
) -> None:
    dockerfile = f"FROM {base}\nWORKDIR /app\nCOPY . .\nEXPOSE 8080\nCMD {command}\n"
    found = traits(loaded(tmp_path, dockerfile, {"package.json": PACKAGE % script, "server.js": SERVER}))
    assert found.keys() & {"stop_signals", "stop_signals_doubt"} == ({trait} if trait else set())


def test_nginx_behind_a_shell_is_told_too(tmp_path: Path) -> None:
    dockerfile = (
        "FROM nginx:1.28\nCOPY nginx.conf /etc/nginx/nginx.conf\n"
        "CMD envsubst < a > b && nginx -g 'daemon off;'\n"
    )
    conf = "events {}\nhttp { server { listen 8080; location / { proxy_pass http://127.0.0.1:9; } } }\n"
    assert "stop_signals" in traits(loaded(tmp_path, dockerfile, {"nginx.conf": conf}))


def test_rule_speaks_of_what_the_join_found(tmp_path: Path) -> None:
    stack = loaded(tmp_path, f"FROM python:3\nCMD {GUNICORN}\n").stack
    (finding,) = [f for f in rules.check(stack).findings if f.cause == rule.SLUG]
    assert isinstance(finding, Finding)
    assert finding.arithmetic.startswith("`/bin/sh -c` runs it without exec")
    doubtful = loaded(tmp_path, f"FROM registry/base:1\nCMD {GUNICORN}\n").stack
    (open_end,) = [u for u in rules.check(doubtful).undecided if u.cause == rule.SLUG]
    assert isinstance(open_end, Undecided)
