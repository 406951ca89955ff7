"""The judge agrees with the table of `keepalign explain`: every shape there leads to its cause."""

from __future__ import annotations

import pytest
from tests.logs.lines import judged, line

from keepalign.logs.causes import CAUSES
from keepalign.rules import CATALOGUE
from keepalign.rules.pages._signs import SIGNS, Sign

ELSEWHERE = {
    ("client-timeout-below-response-time", "499"): "a line of nginx's log",
}
ELAPSED = {
    "target-connect-timeout": 10.001,
    "no-prestop-drain": 10.001,
    "lb-idle-below-response-time": 60.001,
    "sync-worker-behind-lb": 60.001,
    "keepalive-holds-workers": 60.001,
    "client-timeout-below-response-time": 9.0,
    "client-request-timeout": 60.0,
}


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.cause}-{sign.status}-{sign.target_status}")
def test_shape_leads_to_its_cause(sign: Sign) -> None:
    if (sign.cause, sign.status) in ELSEWHERE:
        assert sign.cause in {rule.slug for rule in CATALOGUE}
        return
    times = (sign.times or "-1 -1 -1").replace("t", "7.300")
    refused = sign.status == "502" and times.startswith("-1")
    nobody = "there is no target" in sign.tell
    # What is always the same shows in several lines only.
    one, *_ = judged(
        *(
            line(
                f"{times} {sign.status} {sign.target_status}",
                at=at,
                elapsed=0.001 if refused else ELAPSED.get(sign.cause),
                target="-" if nobody else "10.0.0.1:80",
                reason="LambdaUnhandled" if sign.cause == "lambda-error" else "-",
            )
            for at in ((100, 200, 300) if "time is always" in sign.tell else (100,))
        )
    )
    assert sign.cause in {one.cause, *(candidate.cause for candidate in one.candidates)}, one


def test_every_cause_that_is_named_can_be_explained() -> None:
    assert set(CAUSES) <= {rule.slug for rule in CATALOGUE}
