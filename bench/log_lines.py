"""ALB access logs at scale, made up, in gzip files as the service writes them; same arguments, same bytes.

One file holds five minutes of one balancer. Of the lines 80 % have 33 fields, 12 % have 30 and 8 % have 29,
as the format grew; 12 % of the clients speak IPv6; ids have the entropy of real ones. By default 0.4 % are
errors of the kinds that a stale connection, a timeout, a refusal, a failing application or a client that
leaves make.
"""

from __future__ import annotations

import gzip
import os
import random
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

START: Final = datetime(2026, 11, 20, 8, tzinfo=UTC)
PER_FILE: Final = timedelta(minutes=5)
ERRORS: Final = 0.004
STORM: Final = 0.5
_ELB: Final = "app/shop-prod/50dc6c495c0c9188"
_ARN: Final = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup"
_GROUPS: Final = (
    (f"{_ARN}/orders/73e2d6bc24d8a067", tuple(f"10.0.{n}.{17 + 31 * n}:8080" for n in range(4))),
    (f"{_ARN}/search/9f0c1de2aa4b7c55", tuple(f"10.1.{n}.{23 + 29 * n}:8000" for n in range(4))),
    (f"{_ARN}/static/0d0e41cb6a19f3e8", tuple(f"10.2.{n}.{11 + 37 * n}:80" for n in range(4))),
)
_PATHS: Final = (
    "orders",
    "orders/{}",
    "cart/{}/items",
    "search?q={}&page=2",
    "static/app.{}.js",
    "api/v2/users/{}",
)
_KIT: Final = "KHTML, like Gecko"
_AGENTS: Final = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 ({_KIT}) Chrome/130.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 ({_KIT}) Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "kube-probe/1.30 \\x22internal\\x22",
)
_CERT: Final = "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
_STATUSES: Final = ("200",) * 22 + ("201",) * 2 + ("204", "302", "304", "304", "404", "401")
_FAILURES: Final = (
    "0.001 0.00{} -1 502 -",
    "0.001 12.{} -1 502 -",
    "-1 -1 -1 502 -",
    "0.000 60.00{} -1 504 -",
    "-1 -1 -1 504 -",
    "0.001 0.{} 0.000 500 500",
    "0.001 1.{} 0.000 503 503",
    "0.000 3.{} -1 460 -",
    "-1 -1 -1 503 -",
    "-1 -1 -1 400 -",
)


def make(folder: Path, *, lines: int, files: int, errors: float = ERRORS, workers: int = 2) -> list[Path]:
    """The files, oldest first; those that are there already are not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    task = partial(_file, folder, lines // files, errors)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(task, range(files)))


def _file(folder: Path, lines: int, errors: float, index: int) -> Path:
    end = START + PER_FILE * (index + 1)
    path = folder / (
        "123456789012_elasticloadbalancing_eu-central-1_app.shop-prod.50dc6c495c0c9188"
        f"_{end:%Y%m%dT%H%MZ}_10.0.9.9_{index:08x}.log.gz"
    )
    if path.exists():
        return path
    unfinished = path.with_suffix(f".{os.getpid()}")
    # Without a name and a time in its header.
    with unfinished.open("wb") as packed, gzip.GzipFile("", "wb", 6, packed, mtime=0) as file:
        for first in range(0, lines, 1000):
            count = min(1000, lines - first)
            file.write(_lines(random.Random(f"{index} {first}"), index, first, count, lines, errors))
    return unfinished.rename(path)


def _lines(draw: random.Random, index: int, first: int, count: int, of: int, errors: float) -> bytes:
    begin = START + PER_FILE * index
    step = PER_FILE.total_seconds() / of
    made = []
    for number in range(first, first + count):
        at = begin + timedelta(seconds=(number + draw.random()) * step)
        group, targets = _GROUPS[int(draw.random() * 3)]
        target = targets[int(draw.random() * 4)]
        bits, more = draw.getrandbits(128), draw.getrandbits(128)
        took = draw.expovariate(12)
        if draw.random() < errors:
            signature = _FAILURES[int(draw.random() * len(_FAILURES))].format(bits % 900 + 100)
            if signature.startswith("-1 -1 -1 503"):
                target = "-"
        else:
            status = _STATUSES[int(draw.random() * len(_STATUSES))]
            signature = f"0.00{bits % 2} {took:.3f} 0.000 {status} {status}"
        address = (
            f"2a02:8388:{bits & 0xFFFF:x}:{bits >> 16 & 0xFFFF:x}::{bits >> 32 & 0xFFFF:x}"
            if draw.random() < 0.12
            else f"{bits >> 5 & 127 | 64}.{bits >> 16 & 255}.{bits >> 24 & 255}.{bits >> 32 & 255}"
        )
        path = _PATHS[bits % 6].format(f"{bits >> 40 & 0xFFFFFF:x}")
        created = at - timedelta(seconds=took + 0.001)
        form = draw.random()
        tail = ""
        if form >= 0.08:
            tail = f" TID_{more:032x}"
        if form >= 0.2:
            tail += ' "-" "-" "-"'
        made.append(
            f"https {at:%Y-%m-%dT%H:%M:%S.%fZ} {_ELB} {address}:{bits % 60000 + 1024} {target} {signature}"
            f' {bits % 900 + 90} {bits % 70000 + 200} "GET https://shop.example.com:443/{path} HTTP/2.0"'
            f' "{_AGENTS[more % 6]}" TLS_AES_128_GCM_SHA256 TLSv1.3 {group}'
            f' "Root=1-{bits >> 64 & 0xFFFFFFFF:08x}-{bits >> 3 & (1 << 96) - 1:024x}" "shop.example.com"'
            f' "{_CERT}" {bits % 9} {created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03d}000Z'
            f' "waf,forward" "-" "-"'
            f' "{target}" "{signature.rpartition(" ")[2]}" "-" "-"{tail}\n'
        )
    return "".join(made).encode()
