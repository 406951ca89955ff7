"""Puma, PHP-FPM and uWSGI on a path: what their projects say, and where a cure is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import alb, whole_service, written

from keepalign import fix, rules
from keepalign.join import Loaded, load_stack
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Default, Disabled, Explicit, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

CONTAINER = '{ name = "web", image = "registry/shop:1", portMappings = [{ containerPort = 8080 }] }'
RAILS = """\
FROM ruby:3.3-slim
WORKDIR /rails
COPY . .
ENTRYPOINT ["/rails/bin/docker-entrypoint"]
CMD ["bundle", "exec", "puma", "-C", "config/puma.rb"]
"""
LOCK = """\
GEM
  remote: https://gems.example.com/
  specs:
    nio4r (2.7.3)
    puma ({version})
      nio4r (~> 2.0)
"""


def loaded(folder: Path, files: Mapping[str, str], *, container: str = CONTAINER) -> Loaded:
    return load_stack(
        [written(folder, {"main.tf": alb() + whole_service("shop", containers=container), **files})]
    )


def puma(folder: Path, conf: str, *, version: str = "6.4.2", docker: str = RAILS) -> Loaded:
    docker = docker.replace('ENTRYPOINT ["/rails/bin/docker-entrypoint"]\n', "")
    files = {"shop/Dockerfile": docker, "shop/config/puma.rb": conf}
    return loaded(folder, files | ({"shop/Gemfile.lock": LOCK.format(version=version)} if version else {}))


def last_hop(stack: Loaded) -> Hop:
    (path,) = stack.stack.paths
    return path.hops[-1]


def idle(stack: Loaded) -> object:
    return last_hop(stack).settings[Role.SERVER_IDLE]


@pytest.mark.parametrize(
    ("conf", "seconds"),
    [
        ("persistent_timeout 75\n", 75),
        ("persistent_timeout(75)\n", 75),
        ('persistent_timeout ENV.fetch("PUMA_PERSISTENT_TIMEOUT") { 75 }.to_i\n', 75),
        ('persistent_timeout ENV.fetch("PUMA_PERSISTENT_TIMEOUT", 75).to_i\n', 75),
        ('persistent_timeout Integer(ENV["KEEP_ALIVE"] || 75)\n', 75),
        ("threads 5, 5\npersistent_timeout 20 # seconds\npersistent_timeout 65 # ALB is 60\n", 65),
        ("on_worker_boot do\n  persistent_timeout 3\nend\npersistent_timeout 1.minute\n", 60),
    ],
)
def test_persistent_timeout_is_read_as_people_write_it(tmp_path: Path, conf: str, seconds: int) -> None:
    setting = idle(puma(tmp_path, conf))
    assert isinstance(setting, Explicit)
    assert setting.value == Duration.of(s=seconds)


@pytest.mark.parametrize(
    "conf",
    [
        'if ENV["RAILS_ENV"] == "production"\n  persistent_timeout 75\nend\n',
        'persistent_timeout 75 if ENV["BEHIND_ALB"]\n',
        "persistent_timeout KEEP_ALIVE\n",
        'persistent_timeout ENV.fetch("KEEP_ALIVE")\n',
    ],
)
def test_what_is_decided_when_puma_starts_is_unknown(tmp_path: Path, conf: str) -> None:
    setting = idle(puma(tmp_path, conf))
    assert isinstance(setting, Unknown)
    assert setting.reason


@pytest.mark.parametrize(("version", "seconds"), [("5.6.5", 20), ("6.4.2", 20), ("7.0.0", 65), ("7.1.0", 65)])
def test_default_is_that_of_the_locked_version(tmp_path: Path, version: str, seconds: int) -> None:
    stack = puma(tmp_path, "threads 5, 5\n", version=version)
    setting, hop = idle(stack), last_hop(stack)
    assert (hop.product, hop.version) == (Product.PUMA, version)
    assert isinstance(setting, Default)
    assert setting.value == Duration.of(s=seconds)


def test_default_is_unknown_where_no_version_is_locked(tmp_path: Path) -> None:
    setting = idle(puma(tmp_path, "threads 5, 5\n", version=""))
    assert isinstance(setting, Unknown)
    assert "20 s" in setting.reason
    assert "65 s" in setting.reason


def test_environment_of_the_task_wins_over_the_literal_in_puma_rb(tmp_path: Path) -> None:
    container = CONTAINER.replace(" }] }", ' }], environment = [{ name = "KEEP", value = "90" }] }')
    files = {
        "shop/Dockerfile": RAILS.replace('ENTRYPOINT ["/rails/bin/docker-entrypoint"]\n', ""),
        "shop/config/puma.rb": 'persistent_timeout ENV.fetch("KEEP", 5).to_i\n',
        "shop/Gemfile.lock": LOCK.format(version="6.4.2"),
    }
    setting = idle(loaded(tmp_path, files, container=container))
    assert isinstance(setting, Explicit)
    assert setting.value == Duration.of(s=90)


def test_keep_alive_can_be_off(tmp_path: Path) -> None:
    assert isinstance(idle(puma(tmp_path, "enable_keep_alives false\n")), Disabled)


@pytest.mark.parametrize(
    ("conf", "option", "kind"),
    [
        ("workers 2\nworker_shutdown_timeout 60\n", "worker_shutdown_timeout", Explicit),
        ("workers 2\n", "worker_shutdown_timeout", Default),
        ("threads 5, 5\n", "force_shutdown_after", Unlimited),
        ("force_shutdown_after :forever\n", "force_shutdown_after", Unlimited),
        ("force_shutdown_after 25\n", "force_shutdown_after", Explicit),
    ],
)
def test_grace_of_a_stop_depends_on_workers(tmp_path: Path, conf: str, option: str, kind: type) -> None:
    setting = last_hop(puma(tmp_path, conf)).settings[Role.SHUTDOWN_GRACE]
    assert setting.option == option
    assert type(setting) is kind


def test_rails_server_reads_the_same_configuration(tmp_path: Path) -> None:
    docker = RAILS.replace('"bundle", "exec", "puma", "-C", "config/puma.rb"', '"bin/rails", "server"')
    setting = idle(puma(tmp_path, "persistent_timeout 75\n", docker=docker))
    assert isinstance(setting, Explicit)


def test_thruster_in_front_is_told(tmp_path: Path) -> None:
    docker = RAILS.replace(
        '"bundle", "exec", "puma", "-C", "config/puma.rb"', '"./bin/thrust", "./bin/rails", "server"'
    )
    stack = puma(tmp_path, "persistent_timeout 75\n", docker=docker)
    assert any("Thruster" in unjoined.missing for unjoined in stack.stack.unjoined)


@pytest.mark.parametrize("conf", ["persistent_timeout 20\n", "threads 5, 5\n", "threads 5, 5"])
def test_cure_is_written_into_puma_rb(tmp_path: Path, conf: str) -> None:
    stack = puma(tmp_path, conf)
    found = {finding.cause for finding in rules.check(stack.stack).findings}
    assert "backend-keepalive-below-lb-idle" in found
    mended = fix.repair(stack.stack, stack.sources, lambda overlay: stack.reread(overlay).stack)
    changed = next(data for file, data in mended.changed.items() if file.endswith("puma.rb"))
    assert changed.endswith(b"persistent_timeout 90\n")
    assert "backend-keepalive-below-lb-idle" not in {finding.cause for finding in mended.after.findings}


UWSGI = 'FROM python:3.12\nWORKDIR /app\nCOPY . .\nCMD ["uwsgi", "--ini", "uwsgi.ini"]\n'


def uwsgi(folder: Path, ini: str) -> Hop:
    return last_hop(
        loaded(folder, {"shop/Dockerfile": UWSGI, "shop/uwsgi.ini": f"[uwsgi]\nmodule = app:app\n{ini}"})
    )


@pytest.mark.parametrize(
    ("ini", "option", "seconds"),
    [
        ("http = :8080\nhttp-keepalive = 75\n", "http-keepalive", 75),
        ("http = :8080\nhttp-keepalive = true\nhttp-timeout = 90\n", "http-timeout", 90),
        ("http = 0.0.0.0:8080\nhttp-keepalive = 1\n", "http-timeout", 60),
        ("http11-socket = :8080\n", "socket-timeout", 4),
        ("http11-socket = :8080\nsocket-timeout = 65\n", "socket-timeout", 65),
    ],
)
def test_uwsgi_keeps_connections_for_what_its_listener_takes(
    tmp_path: Path, ini: str, option: str, seconds: int
) -> None:
    setting = uwsgi(tmp_path, ini).settings[Role.SERVER_IDLE]
    assert (setting.option, value_of(setting)) == (option, Duration.of(s=seconds))


@pytest.mark.parametrize(
    "ini", ["http = :8080\n", "http-socket = :8080\nhttp-keepalive = 75\n", "socket = :8080\n"]
)
def test_uwsgi_that_closes_after_each_response_has_no_idle_time(tmp_path: Path, ini: str) -> None:
    hop = uwsgi(tmp_path, ini)
    assert hop.product is Product.UWSGI
    assert Role.SERVER_IDLE not in hop.settings


def test_uwsgi_limit_and_signal_are_told(tmp_path: Path) -> None:
    hop = uwsgi(tmp_path, "http = :8080\nharakiri = 30 ; seconds\nprocesses = 4\n")
    assert value_of(hop.settings[Role.HANDLER_TIMEOUT]) == Duration.of(s=30)
    assert "die-on-term" in hop.traits["stop_signals"]
    assert "stop_signals" not in uwsgi(tmp_path / "b", "http = :8080\ndie-on-term = true\n").traits


NGINX = """\
server {
    listen 8080;
    location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; fastcgi_read_timeout 30s; }
}
"""


def test_php_fpm_behind_nginx_has_the_limits_of_its_pool(tmp_path: Path) -> None:
    containers = (
        '{ name = "web", image = "registry/nginx:1", portMappings = [{ containerPort = 8080 }] },'
        ' { name = "php", image = "registry/php:1" }'
    )
    stack = loaded(
        tmp_path,
        {
            "nginx/Dockerfile": "FROM nginx:1.28\nCOPY default.conf /etc/nginx/conf.d/default.conf\n",
            "nginx/default.conf": NGINX,
            "php/Dockerfile": "FROM php:8.3-fpm\nCOPY www.conf /usr/local/etc/php-fpm.d/zz-www.conf\n",
            "php/www.conf": "[www]\nlisten = 9000\npm.max_children = 10\nrequest_terminate_timeout = 2m\n",
        },
        container=containers,
    )
    hop = last_hop(stack)
    assert (hop.product, hop.version) == (Product.PHP_FPM, "8.3")
    limit = hop.settings[Role.HANDLER_TIMEOUT]
    assert value_of(limit) == Duration.of(s=120)
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == Duration(0)
    assert Role.SERVER_IDLE not in hop.settings


@pytest.mark.parametrize(("text", "kind"), [("0", Unlimited), ("30s", Explicit), ("soon", Unknown)])
def test_php_fpm_zero_is_no_limit(tmp_path: Path, text: str, kind: type) -> None:
    docker = "FROM php:8.3-fpm-alpine\nCOPY pool.conf /usr/local/etc/php-fpm.d/\n"
    stack = loaded(
        tmp_path,
        {"shop/Dockerfile": docker, "shop/pool.conf": f"[www]\nrequest_terminate_timeout = {text}\n"},
    )
    assert type(last_hop(stack).settings[Role.HANDLER_TIMEOUT]) is kind
