"""How AWS is asked: one client per service and options, answers as records of the fields that we use.

Credentials come from where boto3 finds them (environment, profile, single sign-on, role of the machine); none
is ever read, shown or kept here. boto3 is the extra `aws`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from keepalign.errors import ReadError, UsageError
from keepalign.logs._aws_errors import Asked, translated
from keepalign.logs.aws_options import AwsOptions

if TYPE_CHECKING:
    from botocore.client import BaseClient

Answer = TypeVar("Answer")

_CONNECT_S: Final = 10
_READ_S: Final = 60
_ATTEMPTS: Final = 5
"""Tries of one request; with adaptive retries they wait longer the more the service throttles."""


def partition(region: str) -> str:
    """The part of AWS that ARNs of a region name: "aws", "aws-cn", "aws-us-gov"."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rpartition("-")[0].rpartition("-")[0], "aws")


class Record(msgspec.Struct, rename="pascal", kw_only=True):
    """Part of an answer of a service that writes names LikeThis."""


class CamelRecord(msgspec.Struct, rename="camel", kw_only=True):
    """Part of an answer of a service that writes names likeThis (ECS)."""


def client(service: str, options: AwsOptions) -> BaseClient:
    """The client of "s3", "ecs", "elbv2" or "athena"; kept, as making one takes 0.1 s. Threads may share it.

    Raises: UsageError: boto3 is missing, or there is no such profile or region. NoAccess: no credentials.
    """
    # A forked worker must not write to the connections of its parent.
    return _made(service, options, os.getpid())


@lru_cache(maxsize=32)
def _made(service: str, options: AwsOptions, _: int) -> BaseClient:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise UsageError("reading from AWS needs boto3", hint="pip install 'keepalign[aws]'") from error
    # A bucket in the host's name needs DNS that only AWS's own end points have.
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        # gzip has a checksum of its own, and Range has none.
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if options.endpoint_url else None,
    )
    try:
        session = boto3.session.Session(
            profile_name=options.profile or None, region_name=options.region or None
        )
        made: BaseClient = session.client(  # type: ignore[call-overload, unused-ignore] # service is no literal
            service, config=config, endpoint_url=options.endpoint_url or None
        )
    except (BotoCoreError, ValueError) as error:
        raise translated(error, Asked("", options.endpoint_url or "AWS", service)) from error
    return made


def ask(
    service: str, operation: str, options: AwsOptions, into: type[Answer], asked: Asked, **arguments: object
) -> Answer:
    """The answer to one request, `operation` in boto3's spelling.

    Args:
        asked: what it is about, for errors.
    Raises: NoAccess, ReadError, UsageError: as `translated` says.
    """
    return convert(raw(service, operation, options, asked, **arguments), into, asked)


def raw(
    service: str, operation: str, options: AwsOptions, asked: Asked, **arguments: object
) -> dict[str, object]:
    """The answer as boto3 has it. Raises: as `ask`."""
    made = client(service, options)
    with _Errors(asked):
        answer: dict[str, object] = getattr(made, operation)(**arguments)
    return answer


def pages(
    service: str, operation: str, options: AwsOptions, into: type[Answer], asked: Asked, **arguments: object
) -> Iterator[Answer]:
    """The answers to a request that is answered in pages. Raises: as `ask`."""
    made = client(service, options)
    with _Errors(asked):
        found = iter(made.get_paginator(operation).paginate(**arguments))
    while True:
        with _Errors(asked):
            page = next(found, None)
        if page is None:
            return
        yield convert(page, into, asked)


def convert(answer: object, into: type[Answer], asked: Asked) -> Answer:
    """Raises: ReadError: what is there is not what AWS documents."""
    try:
        return msgspec.convert(answer, into)
    except msgspec.ValidationError as error:
        hint = "is --endpoint-url that of AWS or of something that speaks the same?"
        raise ReadError(f"an answer that is not understood: {error}", file=asked.place, hint=hint) from error


class _Errors:
    """Whatever boto3 raises leaves as an error of ours."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, (BotoCoreError, ClientError)):
            raise translated(error, self._asked) from error
