"""What a log holds is known by its content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.formats.test_classic import EARLY, HTTP, SSL, TIMEOUT
from tests.logs.formats.test_json import ONE, RECORD, subscription
from tests.logs.lines import line

from keepalign.logs.formats import sniff
from keepalign.logs.objects import Kind

ALB = line("0.001 4.205 -1 502 -")
CONNECTION = (
    "2026-11-22T10:00:00.123456Z 192.0.2.7 40001 443 TLSv1.3 TLS_AES_128_GCM_SHA256 0.012 - - - Success"
    " TID_0123"
)
HEALTH = "http 2026-11-22T10:00:00.123456Z 0.012 10.0.0.1:80 orders PASS 200 -"


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (ALB, Kind.ALB),
        (f"\n\n{ALB}\n", Kind.ALB),
        (f"a.log:17:{ALB}", Kind.ALB),
        (ALB[:120], Kind.ALB),
        (f"\ufeff{ONE}", Kind.ALB_JSON),
        (json.dumps([RECORD], indent=2), Kind.ALB_JSON),
        (json.dumps({"message": ALB}), Kind.ALB_JSON),
        (json.dumps(subscription(ONE)), Kind.ALB_JSON),
        (json.dumps({"results": [[{"field": "@message", "value": ALB}]]}), Kind.ALB_JSON),
        (f"2026-11-22T10:01:03.000Z {ONE}", Kind.ALB_JSON),
        (f"2026-11-22T10:01:03.000Z {ALB}", Kind.ALB_JSON),
        (f"2026-11-22T10:01:03+00:00 app_lb {ONE}", Kind.ALB_JSON),
        ('2026-11-22T10:01:03Z {"tls_verify_status": "-"}', Kind.CONNECTION),
        ('2026-11-22T10:01:03Z {"level": "info"}', Kind.OTHER),
        ("PAR1\x15\x00", Kind.PARQUET),
        (HTTP, Kind.CLASSIC),
        (SSL, Kind.CLASSIC),
        (TIMEOUT, Kind.CLASSIC),
        (EARLY, Kind.CLASSIC),
        (CONNECTION, Kind.CONNECTION),
        (CONNECTION.replace("192.0.2.7", "2001:db8::7"), Kind.CONNECTION),
        (json.dumps({"time": "…", "tls_verify_status": "Success"}), Kind.CONNECTION),
        (HEALTH, Kind.HEALTH),
        (json.dumps({"message": json.dumps({"target_addr": "10.0.0.1:80"})}), Kind.HEALTH),
        ("Enable AccessLog for ELB: app/a/1 at 2020-11-20T09:55:52.806Z", Kind.TEST),
        ("Enable ConnectionLog for ELB: app/a/1 at 2020-11-20T09:55:52.806Z", Kind.TEST),
        ('{"services": [{"events": []}]}', Kind.OTHER),
        ('192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5', Kind.OTHER),
        (
            "tls 2.0 2018-12-20T02:59:40 net/my-lb/1 g3d4 72.21.218.154:51341 172.100.100.185:443 5 2",
            Kind.OTHER,
        ),
        ("2026-11-22T10:00:00Z app-1 started on 10.0.0.1:80 in no time", Kind.OTHER),
        ("", Kind.OTHER),
        ("\x1f\x8b\x08", Kind.OTHER),
    ],
)
def test_kind_is_told_by_the_first_bytes(first: str, kind: Kind) -> None:
    assert sniff(first.encode()) == kind


@given(st.binary() | st.text(alphabet=' \n{["-:.0123TZahtp/').map(lambda text: (ALB[:40] + text).encode()))
def test_any_bytes_have_a_kind(first: bytes) -> None:
    assert isinstance(sniff(first), Kind)
