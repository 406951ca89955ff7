"""AWS on loopback, for the tests that ask for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    "NO_PROXY": "*",
}
NOT_OURS = ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """The address of a moto server; one for all tests, so names of buckets and services must differ."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that open nothing, and nothing of this machine's own."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in NOT_OURS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own_clients(aws_environment: None) -> Iterator[None]:
    """No client is shared with other tests; making one takes time, so that most tests do share them."""
    from keepalign.logs import session

    session._made.cache_clear()
    yield
    session._made.cache_clear()


@pytest.fixture
def aws(aws_server: str, aws_environment: None) -> str:
    """The server's address, with credentials."""
    return aws_server
