"""Moments as options: `--since 2026-11-22T10:00`, `--since 2h`. The one place here that reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from keepalign.units import Duration, Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: str) -> Instant:
    """An ISO 8601 date or time, UTC where no zone is written, or a duration before now: 2h, 30m, 7d.

    Raises: click.BadParameter.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return _ago(text)
    return _instant(at if at.tzinfo is not None else at.replace(tzinfo=UTC))


def _ago(text: str) -> Instant:
    days = text[:-1] if text.endswith("d") else ""
    try:
        ago = Duration.of(s=86_400 * int(days)) if days.isdecimal() else Duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time: write 2026-11-22, 2026-11-22T10:00, 2026-11-22T10:00+01:00, or 2h for two"
            " hours ago"
        ) from error
    return _instant(datetime.now(UTC)) + -ago


def _instant(at: datetime) -> Instant:
    return Instant((at - _EPOCH) // timedelta(microseconds=1))
