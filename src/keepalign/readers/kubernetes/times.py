"""Times in the ConfigMap of ingress-nginx: whole seconds, and nginx's own for some options."""

from __future__ import annotations

import re
from typing import Final

from keepalign.model.setting import Explicit
from keepalign.model.source import Origin, OriginKind, Site, Step
from keepalign.readers._reader import Read
from keepalign.readers._yaml import Scalar
from keepalign.readers.kubernetes._values import of_scalar, unknown
from keepalign.units import Duration

_NGINX_TIMES: Final = ("worker-shutdown-timeout",)
"""Options that are put into nginx's configuration as they are written."""
_TIME: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)?", re.ASCII)
_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def nginx_seconds(scalar: Scalar, option: str) -> Read:
    """The value of an option."""
    if option not in _NGINX_TIMES:
        return of_scalar(scalar, option)
    found = _TIME.fullmatch(scalar.text.strip())
    if found is None:
        return unknown(option, scalar, f"{scalar.text!r} is no time of nginx's")
    where = scalar.value_span
    return Explicit(
        option=option,
        origin=Origin(OriginKind.FILE, (Step(where or scalar.span, option),)),
        site=Site(where, "{value}s") if where is not None else None,
        value=Duration.of(ms=int(found[1]) * _MS[found[2] or "s"]),
    )
