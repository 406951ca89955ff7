"""What is written for each server, and what is refused, before anything runs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from tests.lab.servers.running import ONE, endpoint, hop, needs

from keepalign.errors import LabError
from keepalign.lab import servers
from keepalign.lab.recipes import Launch
from keepalign.lab.recipes import nginx as recipe
from keepalign.lab.scale import Scale
from keepalign.lab.servers import Place, gunicorn, nodejs
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Disabled, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint

ORIGIN = Origin(OriginKind.DECLARED)
SLOW = endpoint("/slow", 90)


def launch(
    one: Hop, folder: Path, *endpoints: Endpoint, backend: int | None = None, factor: int = 1
) -> Launch:
    needs(one)
    return servers.launch(one, Place(folder, 8080, backend, Scale(factor), endpoints), "SIGTERM")


def nginx_conf(one: Hop, folder: Path, *, backend: int | None = 9000, factor: int = 1) -> str:
    launch(one, folder, backend=backend, factor=factor)
    return (folder / "nginx.conf").read_text("utf-8")


def apache_conf(one: Hop, folder: Path, *, backend: int | None = 9000, factor: int = 1) -> str:
    launch(one, folder, backend=backend, factor=factor)
    return (folder / "httpd.conf").read_text("utf-8")


def after(words: Launch, flag: str) -> str:
    return words.argv[words.argv.index(flag) + 1]


def off(product: Product, role: Role = Role.SERVER_IDLE) -> Hop:
    return Hop("web", product, {role: Disabled(option="keepalive", origin=ORIGIN)})


@pytest.mark.lab
def test_nginx_has_its_documented_defaults_scaled(tmp_path: Path) -> None:
    text = nginx_conf(hop(Product.NGINX), tmp_path, factor=30)
    assert "keepalive_timeout 2500ms;" in text
    assert "proxy_read_timeout 2000ms;" in text
    assert "proxy_connect_timeout 2000ms;" in text
    assert "client_body_timeout 2000ms;" in text
    assert "proxy_next_upstream error timeout;" in text
    assert "proxy_http_version" not in text
    assert "worker_shutdown_timeout" not in text


@pytest.mark.lab
def test_nginx_has_the_times_and_traits_of_its_hop(tmp_path: Path) -> None:
    times = {Role.SERVER_IDLE: 0.25, Role.UPSTREAM_READ: 0.0101, Role.SHUTDOWN_GRACE: 3.0}
    text = nginx_conf(hop(Product.NGINX, times, pool="on", retries="off"), tmp_path)
    assert "keepalive_timeout 250ms;" in text
    assert "proxy_read_timeout 11ms;" in text, "rounded up to whole milliseconds"
    assert "worker_shutdown_timeout 3000ms;" in text
    assert "server 127.0.0.1:9000; keepalive 32; keepalive_timeout 60000ms;" in text
    assert "proxy_http_version 1.1;" in text
    assert "proxy_next_upstream off;" in text
    all_of_them = nginx_conf(hop(Product.NGINX, retries="all"), tmp_path)
    assert "proxy_next_upstream error timeout non_idempotent;" in all_of_them


@pytest.mark.lab
def test_keep_alive_that_is_off_is_written_as_each_server_has_it(tmp_path: Path) -> None:
    assert "keepalive_timeout 0ms;" in nginx_conf(off(Product.NGINX), tmp_path)
    assert "KeepAlive Off" in apache_conf(off(Product.APACHE_HTTPD), tmp_path)
    assert after(launch(off(Product.UVICORN), tmp_path), "--timeout-keep-alive") == "0"
    assert '"keepAlive": false' in launch(off(Product.NODEJS), tmp_path).argv[-1]


@pytest.mark.lab
def test_pool_that_is_off_is_off(tmp_path: Path) -> None:
    pool = Disabled(option="upstream keepalive_timeout", origin=ORIGIN)
    one = Hop("web", Product.NGINX, {Role.UPSTREAM_POOL_IDLE: pool}, traits={"pool": "on"})
    assert "keepalive 32" not in nginx_conf(one, tmp_path)
    assert "disablereuse=On" in apache_conf(hop(Product.APACHE_HTTPD, pool="off"), tmp_path)


@pytest.mark.lab
def test_limit_that_there_is_not_never_strikes_in_a_run(tmp_path: Path) -> None:
    one = Hop("app", Product.UVICORN, {Role.SERVER_IDLE: Unlimited(option="x", origin=ORIGIN)})
    assert after(launch(one, tmp_path), "--timeout-keep-alive") == "86400"
    node = Hop("app", Product.NODEJS, {Role.SERVER_IDLE: Unlimited(option="x", origin=ORIGIN)})
    assert '"keepAliveTimeout": 0' in launch(node, tmp_path).argv[-1]


@pytest.mark.lab
def test_zero_is_zero_and_not_unlimited(tmp_path: Path) -> None:
    one = hop(Product.UVICORN, {Role.SERVER_IDLE: 0})
    assert after(launch(one, tmp_path), "--timeout-keep-alive") == "0"
    assert "keepalive_timeout 0ms;" in nginx_conf(hop(Product.NGINX, {Role.SERVER_IDLE: 0}), tmp_path)


@pytest.mark.lab
def test_apache_has_its_times_in_the_steps_that_it_takes(tmp_path: Path) -> None:
    one = hop(
        Product.APACHE_HTTPD,
        {Role.SERVER_IDLE: 10, Role.UPSTREAM_READ: 45, Role.UPSTREAM_POOL_IDLE: 5, Role.SHUTDOWN_GRACE: 35},
    )
    text = apache_conf(one, tmp_path, factor=30)
    assert "KeepAliveTimeout 334ms" in text
    assert "\nTimeout 2\n" in text
    assert 'ProxyPass "/" "http://127.0.0.1:9000/" retry=2 timeout=2 ttl=1' in text
    assert "GracefulShutdownTimeout 2" in text
    default = apache_conf(hop(Product.APACHE_HTTPD), tmp_path)
    assert 'ProxyPass "/" "http://127.0.0.1:9000/" retry=60\n' in default, "Timeout is its fallback"
    assert "GracefulShutdownTimeout 0" in default


@pytest.mark.lab
def test_apache_runs_as_many_as_its_traits_say(tmp_path: Path) -> None:
    prefork = apache_conf(hop(Product.APACHE_HTTPD, mpm="prefork", max_request_workers="7"), tmp_path)
    assert "/mod_mpm_prefork.so" in prefork
    assert "MaxRequestWorkers 7\nStartServers 7\n" in prefork
    event = hop(
        Product.APACHE_HTTPD,
        mpm="event",
        max_request_workers="140",
        threads_per_child="70",
        async_request_worker_factor="1.5",
    )
    text = apache_conf(event, tmp_path)
    assert "ServerLimit 2\nThreadLimit 70\nThreadsPerChild 70\nMaxRequestWorkers 140\n" in text
    assert "AsyncRequestWorkerFactor 1.5" in text
    assert "ServerLimit" not in apache_conf(hop(Product.APACHE_HTTPD), tmp_path)


def test_gunicorn_has_its_times_in_whole_seconds(tmp_path: Path) -> None:
    one = hop(Product.GUNICORN, {Role.HANDLER_TIMEOUT: 120}, worker_class="gthread", threads="8", workers="3")
    words = launch(one, tmp_path, SLOW, factor=50)
    assert words.argv[:3] == (sys.executable, "-m", "gunicorn")
    assert after(words, "--timeout") == "3"
    assert after(words, "--graceful-timeout") == "1"
    assert after(words, "--keep-alive") == "1"
    assert after(words, "--threads") == "8"
    assert words.ready_count == 3
    assert words.env["KEEPALIGN_STAND_IN"] == '[["/slow", 1.8, 1.8]]'
    endless = Hop("app", Product.GUNICORN, {Role.HANDLER_TIMEOUT: Unlimited(option="timeout", origin=ORIGIN)})
    assert after(launch(endless, tmp_path), "--timeout") == "0"


def test_gunicorn_with_threads_is_gthread_as_gunicorn_itself_decides() -> None:
    assert "(sync)" in servers.version(hop(Product.GUNICORN))
    assert "(gthread)" in servers.version(hop(Product.GUNICORN, worker_class="sync", threads="2"))


def test_uvicorn_worker_is_the_package_of_its_own(tmp_path: Path) -> None:
    one = hop(Product.GUNICORN, worker_class="uvicorn.workers.UvicornWorker")
    assert after(launch(one, tmp_path), "--worker-class") == "uvicorn_worker.UvicornWorker"


def test_uvicorn_and_hypercorn_have_their_times(tmp_path: Path) -> None:
    times = {Role.SERVER_IDLE: 75.0, Role.SHUTDOWN_GRACE: 31.0}
    words = launch(hop(Product.UVICORN, times, workers="2"), tmp_path, factor=30)
    assert after(words, "--timeout-keep-alive") == "3"
    assert after(words, "--timeout-graceful-shutdown") == "2"
    assert words.ready_count == 2
    assert "--timeout-graceful-shutdown" not in launch(hop(Product.UVICORN), tmp_path).argv
    words = launch(hop(Product.HYPERCORN, {**times, Role.SERVER_BODY_READ: 30}), tmp_path, factor=30)
    assert [after(words, flag) for flag in ("--keep-alive", "--graceful-timeout", "--read-timeout")] == [
        "3",
        "2",
        "1",
    ]
    assert after(launch(hop(Product.HYPERCORN), tmp_path), "--graceful-timeout") == "3"


@pytest.mark.lab
@pytest.mark.parametrize("product", [Product.NGINX, Product.APACHE_HTTPD])
def test_web_server_alone_cannot_be_slow(product: Product, tmp_path: Path) -> None:
    quick = endpoint("/quick", 0)
    launch(hop(product), tmp_path, quick)
    launch(hop(product), tmp_path, quick, SLOW, backend=9000)
    with pytest.raises(LabError) as raised:
        launch(hop(product), tmp_path, quick, SLOW)
    assert "and /slow takes longer" in raised.value.message
    assert "put an application behind it" in raised.value.hint


@pytest.mark.parametrize("product", [Product.GUNICORN, Product.UVICORN, Product.HYPERCORN, Product.NODEJS])
def test_application_has_nothing_behind_it(product: Product, tmp_path: Path) -> None:
    with pytest.raises(LabError) as raised:
        launch(hop(product), tmp_path, backend=9000)
    assert "runs as an application here" in raised.value.message


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (hop(Product.AWS_ALB), "aws_alb: the lab has no server that runs as aws_alb"),
        (hop(Product.GUNICORN, worker_class="gevent"), "gunicorn's worker class 'gevent' cannot be run here"),
        (hop(Product.APACHE_HTTPD, mpm="winnt"), "mpm 'winnt' cannot be run here; use event or worker"),
        (hop(Product.NODEJS, graceful="maybe"), "graceful 'maybe' cannot be run here; use off or on"),
        (hop(Product.NGINX, pool="some"), "pool 'some' cannot be run here"),
        (hop(Product.GUNICORN, threads="many"), "threads is 'many'; write a whole number from 1 up"),
    ],
)
def test_hop_that_cannot_be_run_says_why(one: Hop, says: str) -> None:
    assert says in servers.missing(one)


def test_unknown_setting_is_never_guessed(tmp_path: Path) -> None:
    unknown = Unknown(option="timeout_keep_alive", origin=ORIGIN, reason="the variable has no value")
    with pytest.raises(LabError) as raised:
        launch(Hop("app", Product.UVICORN, {Role.SERVER_IDLE: unknown}), tmp_path)
    assert raised.value.message == "app: timeout_keep_alive is unknown: the variable has no value"


@pytest.mark.parametrize(
    ("product", "command"),
    [
        (Product.NGINX, "apt-get install --no-install-recommends nginx-light"),
        (Product.NODEJS, "apt-get install --no-install-recommends nodejs"),
        (Product.GUNICORN, 'pip install "keepalign[lab]"'),
        (Product.UVICORN, 'pip install "keepalign[lab]"'),
    ],
)
def test_missing_server_comes_with_the_command_that_installs_it(
    product: Product, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object, **__: object) -> None:
        return None

    for found in (recipe.find, nodejs.find):
        found.cache_clear()
    monkeypatch.setattr(shutil, "which", nothing)
    for module in (gunicorn, servers.uvicorn):
        module._version.cache_clear()
    monkeypatch.setattr(gunicorn, "find_spec", nothing)
    one = hop(product)
    assert command in servers.missing(one)
    with pytest.raises(LabError) as raised:
        servers.launch(one, Place(tmp_path, 8080, None, ONE, ()), "SIGTERM")
    assert "is missing" in raised.value.message
    for cached in (recipe.find, nodejs.find, gunicorn._version, servers.uvicorn._version):
        cached.cache_clear()


def test_programs_that_servers_load_are_packaged() -> None:
    folder = Path(servers.__file__).parent
    assert (folder / "_node_server.js").is_file()
    assert (folder / "_asgi_app.py").is_file()
