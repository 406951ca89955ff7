"""gunicorn's flags: their names, and how its argparse parser takes them.

`--x=y`, `--x y`, `-t30`, `-t 30`, `-Dt30`, and any beginning of a long name that only one option has.

Source: gunicorn/config.py, package 27.0.1 (a test compares the tables with it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from keepalign.model.source import Span
from keepalign.readers._reader import Word

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

_LONG: Final = SWITCHES | OPTIONAL_VALUE | VALUES


@dataclass(frozen=True, slots=True)
class Value:
    """The value of one flag. `site`: the bytes of the value alone; `span`: flag and value as written."""

    text: str | None
    span: Span | None
    what: str
    site: Span | None = None
    reason: str = ""
    via: tuple[tuple[str, Span], ...] = ()


@dataclass(slots=True)
class Parsed:
    """`unclear`: a word that may stand for any options."""

    options: dict[str, list[Value]] = field(default_factory=dict)
    positional: list[Word] = field(default_factory=list)
    unclear: Word | None = None

    def last(self, option: str) -> Value | None:
        values = self.options.get(option)
        return values[-1] if values else None


def parse(given: Sequence[Word]) -> Parsed:
    """The words behind `gunicorn`, as its argparse parser takes them."""
    parsed = Parsed()
    index = 0
    while index < len(given):
        word = given[index]
        following = given[index + 1] if index + 1 < len(given) else None
        index += 1
        text = word.text
        if text is None:
            # The last word, when no application was named yet, can only be the application.
            if word.splice or following is not None or parsed.positional:
                parsed.unclear = parsed.unclear or word
            else:
                parsed.positional.append(word)
        elif text == "--":
            parsed.positional += given[index:]
            break
        elif text.startswith("--"):
            index += _long(parsed, word, text, following)
        elif text.startswith("-") and len(text) > 1:
            index += _short(parsed, word, text, following)
        else:
            parsed.positional.append(word)
    return parsed


def _long(parsed: Parsed, word: Word, text: str, following: Word | None) -> int:
    """Record a long option; the number of further words it took."""
    name, equals, _ = text.partition("=")
    candidates = [name] if name in _LONG else [o for o in _LONG if o.startswith(name)]
    if len(candidates) != 1:
        return 0
    option = candidates[0]
    if equals:
        parsed.options.setdefault(option, []).append(_behind(word, len(name) + 1))
        return 0
    if option in VALUES and following is not None and not following.splice:
        parsed.options.setdefault(option, []).append(_next(word, following))
        return 1
    if option in OPTIONAL_VALUE and following is not None:
        return 0 if (following.text or "-").startswith("-") else 1
    return 0


def _short(parsed: Parsed, word: Word, text: str, following: Word | None) -> int:
    """Record `-t30`, `-t 30` or `-Dt30`; the number of further words it took."""
    for at in range(1, len(text)):
        option = SHORT.get(f"-{text[at]}")
        if option is None:
            return 0
        if option in SWITCHES:
            continue
        skipped = at + 1
        if skipped == len(text):
            if following is None or following.splice:
                return 0
            parsed.options.setdefault(option, []).append(_next(word, following))
            return 1
        skipped += text[skipped] == "="
        parsed.options.setdefault(option, []).append(_behind(word, skipped))
        return 0
    return 0


def _next(flag: Word, value: Word) -> Value:
    """A value in a word of its own."""
    span = value.span
    # Words from two places (a script and its caller, a variable) have no stretch in common.
    plain = not flag.via and not value.via and flag.span.file == value.span.file
    if plain and flag.span.end <= span.start:
        span = replace(flag.span, end=span.end)
    what = f"{flag.text} {value.text if value.text is not None else '…'}"
    return Value(value.text, span, what, value.value_span, value.reason, value.via)


def _behind(word: Word, skipped: int) -> Value:
    """A value behind `skipped` characters of a word."""
    text = word.text or ""
    site = word.value_span
    if site is not None:
        before = len(text[:skipped].encode("utf-8", "surrogateescape"))
        plain = site.end - site.start == len(text.encode("utf-8", "surrogateescape"))
        site = replace(site, start=site.start + before, column=site.column + skipped) if plain else None
    return Value(text[skipped:], word.span, text, site, via=word.via)
