"""gunicorn's flags: their names. Its parser is argparse.

Source: gunicorn/config.py, package 27.0.1 (a test compares the tables with it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keepalign.readers._flags import Table

SWITCHES: Final = frozenset({
    "--capture-output", "--casefold-http-method", "--check-config", "--daemon",
    "--disable-redirect-access-to-syslog", "--do-handshake-on-connect", "--enable-backlog-metric",
    "--enable-stdio-inheritance", "--help", "--initgroups", "--log-syslog", "--no-control-socket",
    "--no-sendfile", "--permit-obsolete-folding", "--permit-unconventional-http-method",
    "--permit-unconventional-http-version", "--preload", "--print-config", "--reload", "--reuse-port",
    "--spew", "--strip-header-spaces", "--suppress-ragged-eofs", "--version",
})  # fmt: skip
"""Long options without a value."""

OPTIONAL_VALUE: Final = frozenset({"--proxy-protocol"})
"""Long options that take a value only if one follows."""

VALUES: Final = frozenset({
    "--access-logfile", "--access-logformat", "--asgi-disconnect-grace-period", "--asgi-lifespan",
    "--asgi-loop", "--backlog", "--bind", "--ca-certs", "--cert-reqs", "--certfile", "--chdir",
    "--ciphers", "--config", "--control-socket", "--control-socket-mode", "--dirty-app",
    "--dirty-graceful-timeout", "--dirty-threads", "--dirty-timeout", "--dirty-workers",
    "--dogstatsd-tags", "--env", "--error-logfile", "--forwarded-allow-ips", "--forwarder-headers",
    "--graceful-timeout", "--group", "--header-map", "--http-parser", "--http-protocols",
    "--http2-cleartext", "--http2-initial-window-size", "--http2-max-concurrent-streams",
    "--http2-max-frame-size", "--http2-max-header-list-size", "--keep-alive", "--keyfile",
    "--limit-request-field_size", "--limit-request-fields", "--limit-request-line", "--log-config",
    "--log-config-json", "--log-file", "--log-level", "--log-syslog-facility", "--log-syslog-prefix",
    "--log-syslog-to", "--logger-class", "--max-requests", "--max-requests-jitter", "--name", "--paste",
    "--paste-global", "--paster", "--pid", "--protocol", "--proxy-allow-from", "--pythonpath",
    "--reload-engine", "--reload-extra-file", "--root-path", "--ssl-version", "--statsd-host",
    "--statsd-prefix", "--threads", "--timeout", "--umask", "--user", "--uwsgi-allow-from",
    "--websocket-max-message-size", "--worker-class", "--worker-connections", "--worker-tmp-dir",
    "--workers",
})  # fmt: skip
"""Long options with a value."""

SHORT: Final[Mapping[str, str]] = {
    "-b": "--bind", "-c": "--config", "-e": "--env", "-g": "--group", "-k": "--worker-class", "-m": "--umask",
    "-n": "--name", "-p": "--pid", "-t": "--timeout", "-u": "--user", "-w": "--workers",
    "-D": "--daemon", "-R": "--enable-stdio-inheritance", "-h": "--help", "-v": "--version",
}  # fmt: skip

TABLE: Final = Table(SWITCHES, VALUES, SHORT, OPTIONAL_VALUE)
