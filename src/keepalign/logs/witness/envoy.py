"""Envoy's access log: its default format, also with the fields that Istio puts between.

START_TIME is a request's beginning, DURATION its milliseconds until the last byte went out. The response
flags say what Envoy did itself (Envoy, "Access logging", %RESPONSE_FLAGS%).
"""

from __future__ import annotations

import re
from typing import Final

from keepalign.logs.witness._line import (
    MILLISECOND,
    Line,
    When,
    begun,
    iso,
    milliseconds,
    request_of,
    status_of,
)
from keepalign.model.observation import Saw
from keepalign.units import Duration

_QUOTED: Final = r"(?:[^\"\\]|\\.)*+"
_DEFAULT: Final = re.compile(
    rf"\[(?P<time>[0-9T:.Z+-]++)\] \"(?P<request>{_QUOTED})\" (?P<status>\d{{1,3}}) (?P<flags>[A-Za-z,-]++)"
    rf"(?: [a-z]\S*+ \S++ \"{_QUOTED}\"| - \S++ \"{_QUOTED}\")?"
    rf" \d++ \d++ (?P<took>\d++|-) \S++ \"{_QUOTED}\" \"{_QUOTED}\" \"{_QUOTED}\" \"{_QUOTED}\""
    rf" \"(?P<backend>{_QUOTED})\"(?: .*+)?",
    re.ASCII,
)

FLAGS: Final = {
    "DC": Saw.CLIENT_LEFT,
    "DownstreamConnectionTermination": Saw.CLIENT_LEFT,
    "DR": Saw.CLIENT_LEFT,
    "DownstreamRemoteReset": Saw.CLIENT_LEFT,
    "UT": Saw.BACKEND_TIMED_OUT,
    "UpstreamRequestTimeout": Saw.BACKEND_TIMED_OUT,
    "SI": Saw.BACKEND_TIMED_OUT,
    "StreamIdleTimeout": Saw.BACKEND_TIMED_OUT,
    "DT": Saw.BACKEND_TIMED_OUT,
    "DurationTimeout": Saw.BACKEND_TIMED_OUT,
    "UMSDR": Saw.BACKEND_TIMED_OUT,
    "UpstreamMaxStreamDurationReached": Saw.BACKEND_TIMED_OUT,
    "UPE": Saw.BACKEND_MALFORMED,
    "UpstreamProtocolError": Saw.BACKEND_MALFORMED,
    "UC": Saw.BACKEND_CLOSED,
    "UpstreamConnectionTermination": Saw.BACKEND_CLOSED,
    "UR": Saw.BACKEND_CLOSED,
    "UpstreamRemoteReset": Saw.BACKEND_CLOSED,
    "LR": Saw.BACKEND_CLOSED,
    "LocalReset": Saw.BACKEND_CLOSED,
    "UF": Saw.BACKEND_REFUSED,
    "UpstreamConnectionFailure": Saw.BACKEND_REFUSED,
    "UH": Saw.BACKEND_REFUSED,
    "NoHealthyUpstream": Saw.BACKEND_REFUSED,
    "UO": Saw.SATURATED,
    "UpstreamOverflow": Saw.SATURATED,
    "OM": Saw.SATURATED,
    "OverloadManagerTerminated": Saw.SATURATED,
}
"""Flag, short and long, and what it says; others (NR: no route, RL: rate limit…) tell of no connection."""


def saw_of(flags: str) -> Saw:
    """What flags ("UF,URX") say; the first in the order of `FLAGS` decides."""
    found = set(flags.split(","))
    return next((saw for flag, saw in FLAGS.items() if flag in found), Saw.ANSWERED)


def ended(when: When | None, took: Duration | None) -> When | None:
    """Of a START_TIME and a DURATION, which is in whole milliseconds."""
    ends = begun(when, took)
    return ends if ends is None else ends._replace(precision=max(ends.precision, MILLISECOND))


class Envoy:
    """The default format. See `Form`."""

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        match = _DEFAULT.fullmatch(line)
        if match is None:
            return None
        took = milliseconds(match["took"])
        when = ended(iso(match["time"]), took)
        if when is None:
            return None
        method, path = request_of(match["request"])
        backend = None if match["backend"] == "-" else match["backend"]
        status = status_of(match["status"])
        saw = saw_of(match["flags"])
        return Line("envoy", when, saw, True, method, path, status, took, backend)
