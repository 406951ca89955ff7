"""Log objects in S3: which are found with which requests, how they are read, and what is said when not."""

from __future__ import annotations

import gzip
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.s3.models import s3_backends

from keepalign.errors import KeepalignError, NoAccess, NothingToRead, ReadError, UsageError
from keepalign.logs import s3, session
from keepalign.logs._s3_body import S3Opener
from keepalign.logs.aws_options import AwsOptions
from keepalign.logs.s3 import Address, Listing, bytes_text, ended_at, objects, usd
from keepalign.units import Instant

ROOT = "logs/AWSLogs/123456789012/elasticloadbalancing/eu-central-1/"
_numbers = count(1)


def at(text: str) -> Instant:
    return Instant(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000)


def alb(ended: str, *, root: str = ROOT, day: str = "", node: str = "10.0.0.1", start: str = "") -> str:
    """A key as an ALB writes it; `ended`: "20261122T1005Z"."""
    account, region = root.split("/")[-4:-1:2] if "AWSLogs" in root else ("123456789012", "eu-central-1")
    folder = day or f"{ended[:4]}/{ended[4:6]}/{ended[6:8]}"
    balancer = f"{account}_elasticloadbalancing_{region}_app.orders.50dc6c495c0c9188"
    name = f"{start}{balancer}_{ended}_{node}_3mxa.log.gz"
    return f"{root}{folder}/{name}"


class Bucket:
    """A bucket of its own, and how it is read."""

    def __init__(self, url: str, region: str = "us-east-1") -> None:
        self.name = f"logs-{next(_numbers)}-of-s3"
        self.options = AwsOptions(region=region, endpoint_url=url)
        self.client = boto3.client("s3", region_name=region, endpoint_url=url)
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        self.client.create_bucket(Bucket=self.name, **({"CreateBucketConfiguration": where} if where else {}))

    def put(self, *keys: str, body: bytes = b"x", **more: str) -> None:
        for key in keys:
            self.client.put_object(Bucket=self.name, Key=key, Body=body, **more)

    def listing(self, prefix: str = "", since: str = "", until: str = "") -> Listing:
        return objects(
            f"s3://{self.name}/{prefix}",
            since=at(since) if since else None,
            until=at(until) if until else None,
            session=self.options,
        )

    def keys(self, prefix: str = "", since: str = "", until: str = "") -> list[str]:
        return [
            one.name.removeprefix(f"s3://{self.name}/") for one in self.listing(prefix, since, until).objects
        ]


@pytest.fixture
def bucket(aws: str) -> Bucket:
    return Bucket(aws)


DAYS = [alb(f"202611{day:02d}T{hour:02d}05Z") for day in range(20, 25) for hour in (0, 12)]


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "logs",
        "logs/",
        "logs/AWSLogs/",
        "logs/AWSLogs/123456789012/",
        "logs/AWSLogs/123456789012/elasticloadbalancing/",
        "logs/AWSLogs/123456789012/elasticloadbalancing/eu-central-1",
        ROOT,
        ROOT + "2026/",
        ROOT + "2026/11/",
    ],
)
def test_objects_of_a_window_are_found_from_every_level(bucket: Bucket, prefix: str) -> None:
    bucket.put(*DAYS)
    found = bucket.keys(prefix, since="2026-11-22T11:00", until="2026-11-23T01:00")
    assert found == [alb("20261122T1205Z"), alb("20261123T0005Z")]


def test_objects_of_a_window_cost_no_listing_of_other_days(bucket: Bucket) -> None:
    bucket.put(*DAYS)
    listing = bucket.listing(ROOT, since="2026-11-22T11:00", until="2026-11-22T13:00")
    # The region's level, the year's, and one page of days; the days before were not even looked at.
    assert listing.lists == 3
    assert listing.outside == 3  # 22nd 00:05, and both of the 23rd, where a late file could lie


def test_objects_without_a_window_are_all(bucket: Bucket) -> None:
    bucket.put(*DAYS)
    assert bucket.keys("logs/") == DAYS
    assert bucket.keys(since="2026-11-24T00:00") == DAYS[-2:]
    assert bucket.keys(until="2026-11-20T13:00") == DAYS[:2]


def test_a_file_delivered_on_the_next_day_is_found(bucket: Bucket) -> None:
    late = alb("20261122T2355Z", day="2026/11/23")
    bucket.put(late)
    assert bucket.keys(since="2026-11-22T23:50", until="2026-11-22T23:55") == [late]


@pytest.mark.parametrize(
    ("ended", "found"),
    [
        ("20261122T1000Z", True),  # up to 10:00, and its clock may be off
        ("20261122T0954Z", False),
        ("20261122T1005Z", True),
        ("20261122T1015Z", True),  # begins at 10:10, which may be off, too
        ("20261122T1020Z", False),
    ],
)
def test_the_name_tells_whether_an_object_can_hold_the_time(bucket: Bucket, ended: str, found: bool) -> None:
    sure = alb("20261122T1010Z", node="10.0.0.9")
    key = alb(ended)
    bucket.put(sure, key)
    assert (key in bucket.keys(since="2026-11-22T10:00", until="2026-11-22T10:10")) is found


def test_classic_objects_may_hold_an_hour(bucket: Bucket) -> None:
    key = (
        ROOT
        + "2026/11/22/123456789012_elasticloadbalancing_eu-central-1_shop_20261122T1100Z_192.0.2.1_20sg.log"
    )
    bucket.put(key)
    assert bucket.keys(since="2026-11-22T10:05", until="2026-11-22T10:10") == [key]


def test_accounts_and_regions_are_found(bucket: Bucket) -> None:
    roots = [
        f"AWSLogs/{account}/elasticloadbalancing/{region}/"
        for account in ("111122223333", "123456789012")
        for region in ("eu-central-1", "us-east-1")
    ]
    keys = [alb("20261122T1005Z", root=root) for root in roots]
    bucket.put(*keys, *(alb("20251122T1005Z", root=root) for root in roots))
    bucket.put("AWSLogs/123456789012/CloudTrail/eu-central-1/2026/11/22/trail.json.gz")
    listing = bucket.listing(since="2026-11-22T10:00", until="2026-11-22T10:05")
    assert [one.name.split("/", 3)[3] for one in listing.objects] == keys
    assert [(one.name, one.why) for one in listing.skipped] == [
        ("AWSLogs/123456789012/CloudTrail/", "logs of another service")
    ]


def test_logs_without_dates_in_their_folders_are_found(bucket: Bucket) -> None:
    keys = [f"incident/{part}/deep/er/{alb('20261122T1005Z', root='').rpartition('/')[2]}" for part in "ab"]
    bucket.put(*keys, "incident/notes.md", "incident/c/2024.log")
    listing = bucket.listing("incident/", since="2026-11-22T10:00", until="2026-11-22T10:05")
    assert [one.name.split("/", 3)[3] for one in listing.objects] == [*keys, "incident/c/2024.log"]
    assert [one.why for one in listing.skipped] == ["something else"]


def test_foreign_objects_are_named_not_dropped(bucket: Bucket) -> None:
    good = alb("20261122T1005Z")
    beside = [alb("20261122T1005Z", start=start) for start in ("conn_log.", "health_check_log_")]
    vended = ROOT + "2026/11/22/part-0001.parquet"
    bucket.put(good, vended, *beside)
    bucket.put("logs/AWSLogs/123456789012/ELBAccessLogTestFile", ROOT + "2026/11/22/readme.md")
    bucket.put(ROOT, body=b"")
    bucket.put(ROOT + "2026/11/22/none.log.gz", body=b"")
    bucket.put(ROOT + "2026/11/22/cold.log.gz", StorageClass="GLACIER")
    listing = bucket.listing()
    assert [one.name.rpartition("/")[2] for one in listing.objects] == [
        good.rpartition("/")[2],
        "part-0001.parquet",
    ]
    assert sorted(one.name.rpartition("/")[2] for one in listing.beside) == sorted(
        key.rpartition("/")[2] for key in beside
    )
    assert sorted((one.name.rpartition("/")[2], one.why.partition(" ")[0]) for one in listing.skipped) == [
        ("ELBAccessLogTestFile", "test"),
        ("cold.log.gz", "archived"),
        ("none.log.gz", "empty"),
        ("readme.md", "something"),
    ]
    assert listing.skips == 4


def test_an_exact_key_is_taken_whatever_its_time(bucket: Bucket) -> None:
    bucket.put(*DAYS)
    listing = bucket.listing(DAYS[0], since="2026-11-24T00:00")
    assert [one.name for one in listing.objects] == [f"s3://{bucket.name}/{DAYS[0]}"]
    assert listing.lists == 0
    assert listing.objects[0].size == 1
    assert listing.objects[0].tag


def test_a_glob_in_the_last_part_is_followed(bucket: Bucket) -> None:
    keys = [ROOT + f"2026/11/22/{name}" for name in ("a1.log", "a2.log", "b1.log", "a[1].log", "a1/x.log")]
    bucket.put(*keys)
    assert bucket.keys(ROOT + "2026/11/22/a?.log") == keys[:2]
    assert bucket.keys(ROOT + "2026/11/22/a[1]*") == [keys[3]]
    with pytest.raises(UsageError, match="last part"):
        bucket.listing("logs/*/x.log")


def test_folders_that_begin_alike_are_told(bucket: Bucket) -> None:
    mine, other = (alb("20261122T1005Z", root=f"{name}/" + ROOT) for name in ("prod", "prod-eu"))
    bucket.put(mine, other)
    for since in ("2026-11-22T10:00", ""):
        listing = bucket.listing("prod", since=since)
        assert [one.name.split("/", 3)[3] for one in listing.objects] == [mine]
        assert listing.notes == ["prod/ is read; prod-eu/, which begin alike, are not"]


def test_folders_that_only_look_like_years_hide_nothing(bucket: Bucket) -> None:
    odd = alb("20261122T1005Z", root="2024/" + ROOT)
    beside = [ROOT + "by-hand.log", ROOT + "zzz/" + odd.rpartition("/")[2], ROOT + "2026/11/loose.log"]
    days = [alb("20251122T1005Z"), alb("20261122T1005Z"), alb("20271122T1005Z")]
    bucket.put(odd, *beside, *days)
    expected = sorted([odd, *beside, days[1]])
    for prefix in ("", "logs/", ROOT, ROOT[:-1]):
        found = bucket.keys(prefix, since="2026-11-22T10:00", until="2026-11-22T10:05")
        assert found == [key for key in expected if key.startswith(prefix)]
    for prefix in ("2024/", "2024/logs/"):
        assert bucket.keys(prefix, since="2026-11-22T10:00", until="2026-11-22T10:05") == [odd]
    year = bucket.keys(ROOT + "2026/", since="2026-11-22T10:00", until="2026-11-22T10:05")
    assert year == [days[1], ROOT + "2026/11/loose.log"]


def test_more_than_a_page_is_listed(bucket: Bucket) -> None:
    keys = [alb("20261122T1005Z", node=f"10.0.0.{number}") for number in range(1001)]
    store = s3_backends["123456789012"]["aws"]
    for key in keys:
        store.put_object(bucket.name, key, b"x")
    assert len(bucket.keys(since="2026-11-22T10:00", until="2026-11-22T10:05")) == 1001


def test_nothing_found_says_what_there_was(bucket: Bucket) -> None:
    bucket.put(*DAYS[:3], "logs/readme.md")
    with pytest.raises(NothingToRead) as caught:
        bucket.listing("logs/", since="2026-11-21T13:00", until="2026-11-21T14:00")
    assert "1 of other times and 1 that are no log" in caught.value.message
    assert "readme.md" in caught.value.message
    with pytest.raises(NothingToRead, match=r"no log object$"):
        bucket.listing("logs/AWSLogs/123456789012/none.log.gz")


def test_the_estimate_counts_before_anything_is_read(bucket: Bucket) -> None:
    bucket.put(*DAYS, body=b"x" * 1000)
    estimate = bucket.listing().estimate
    assert (estimate.gets, estimate.size) == (10, 10_000)
    assert str(estimate).startswith(
        "10 objects, 10.0 kB: less than $0.01 for requests (S3 Standard in us-east-1"
    )
    assert estimate.requests_usd == pytest.approx(10 * 0.0004 / 1000 + estimate.lists * 0.005 / 1000)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_opener_can_be_pickled_and_streams(bucket: Bucket) -> None:
    text = b"".join(b"line %d\n" % number for number in range(100_000))
    bucket.put(DAYS[0], body=gzip.compress(text))
    found = bucket.listing().objects[0]
    opener = pickle.loads(pickle.dumps(found)).opener
    with opener() as stream, gzip.open(stream) as lines:
        assert lines.read() == text


def test_an_object_can_be_sought(bucket: Bucket) -> None:
    bucket.put(DAYS[0], body=bytes(range(256)) * 4000)
    with bucket.listing().objects[0].opener() as stream:
        assert stream.seek(-8, 2) == 1_024_000 - 8
        assert stream.read() == bytes(range(248, 256))
        assert stream.read() == b""
        stream.seek(300)
        assert stream.read(2) == bytes((44, 45))
        assert stream.tell() == 302


def test_a_replaced_object_is_not_read_on(bucket: Bucket) -> None:
    bucket.put(DAYS[0], body=b"old")
    opener = bucket.listing().objects[0].opener
    bucket.put(DAYS[0], body=b"new")
    with pytest.raises(ReadError, match="replaced"):
        opener()


def test_a_deleted_object_is_named(bucket: Bucket) -> None:
    bucket.put(DAYS[0])
    found = bucket.listing().objects[0]
    bucket.client.delete_object(Bucket=bucket.name, Key=DAYS[0])
    with pytest.raises(ReadError, match="no such object") as caught:
        found.opener()
    assert caught.value.file == found.name


class Flaky(BaseHTTPRequestHandler):
    """Sends `step` bytes of the object at most, though it says that there are more."""

    protocol_version = "HTTP/1.1"
    body = bytes(range(256)) * 1024
    step = 100_000
    asked: list[str]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        type(self).asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        rest = self.body[begin:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(rest[: self.step])
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent."""


@pytest.fixture
def flaky(aws_environment: None) -> Iterator[Callable[[int], str]]:
    servers: list[HTTPServer] = []

    def start(step: int) -> str:
        handler = type("Handler", (Flaky,), {"step": step, "asked": []})
        server = HTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_dropped_connection_is_taken_up_where_it_was(flaky: Callable[[int], str]) -> None:
    opener = S3Opener("logs", "a.log", AwsOptions("", "us-east-1", flaky(100_000)), '"1"', len(Flaky.body))
    with opener() as stream:
        assert stream.read() == Flaky.body


def test_a_connection_that_always_drops_ends_with_the_place(flaky: Callable[[int], str]) -> None:
    opener = S3Opener("logs", "a.log", AwsOptions("", "us-east-1", flaky(0)), '"1"', len(Flaky.body))
    with opener() as stream, pytest.raises(ReadError, match="dropped at byte 0 of 262144") as caught:
        stream.read()
    assert caught.value.file == "s3://logs/a.log"


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────


def refusing(monkeypatch: pytest.MonkeyPatch, status: int, code: str, message: str = "") -> None:
    """From now on every request is answered so, before anything is sent."""
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders

    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"

    class Raw:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield text.encode()

        def read(self) -> bytes:
            return text.encode()

    made = session.client

    def answer(**_: object) -> AWSResponse:
        return AWSResponse("http://127.0.0.1/", status, HTTPHeaders(), Raw())

    def client(service: str, options: AwsOptions) -> object:
        found = made(service, options)
        found.meta.events.register_first("before-send.*.*", answer)  # type: ignore[arg-type] # it may answer
        return found

    monkeypatch.setattr(session, "client", client)


OPTIONS = AwsOptions(region="us-east-1", endpoint_url="http://127.0.0.1:9")


@pytest.mark.usefixtures("own_clients")
@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "says", "hints"),
    [
        (403, "AccessDenied", "no", NoAccess, "access denied", "s3:ListBucket on arn:aws:s3:::logs;"),
        (400, "ExpiredToken", "The provided token has expired.", NoAccess, "expired", "sso login"),
        (403, "InvalidAccessKeyId", "unknown", NoAccess, "does not know", "--profile"),
        (403, "SignatureDoesNotMatch", "bad", NoAccess, "does not know", "--profile"),
        (403, "RequestTimeTooSkewed", "off", NoAccess, "clock is wrong", "clock"),
        (404, "NoSuchBucket", "none", ReadError, "no such bucket", "after s3://"),
        (400, "AuthorizationHeaderMalformed", "wrong region", ReadError, "another region", "--region"),
        (400, "Whatever", "strange\nthing", ReadError, "refused it (Whatever: strange thing)", ""),
    ],
)
def test_a_refused_listing_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    message: str,
    kind: type[ReadError],
    says: str,
    hints: str,
) -> None:
    refusing(monkeypatch, status, code, message)
    with pytest.raises(kind) as caught:
        objects("s3://logs/prefix/", since=None, until=None, session=OPTIONS)
    assert type(caught.value) is kind
    assert says in caught.value.message
    assert hints in caught.value.hint
    assert caught.value.file == "s3://logs/prefix/"


@pytest.mark.usefixtures("own_clients")
@pytest.mark.parametrize(
    ("code", "message", "says", "hints"),
    [
        ("AccessDenied", "Access Denied", "access denied", "allow s3:GetObject on arn:aws:s3:::logs/a.log"),
        ("AccessDenied", "not authorized to perform: kms:Decrypt on the key", "key", "kms:Decrypt"),
        ("KMS.DisabledException", "key is disabled", "key", "kms:Decrypt"),
    ],
)
def test_a_refused_object_says_what_to_allow(
    monkeypatch: pytest.MonkeyPatch, code: str, message: str, says: str, hints: str
) -> None:
    refusing(monkeypatch, 403, code, message)
    with pytest.raises(NoAccess) as caught:
        S3Opener("logs", "a.log", OPTIONS)()
    assert caught.value.exit_code == 4
    assert says in caught.value.message
    assert hints in caught.value.hint


def test_a_bucket_that_is_not_there_is_told(aws: str) -> None:
    with pytest.raises(ReadError, match="no such bucket"):
        objects("s3://nowhere-at-all/x/", since=None, until=None, session=AwsOptions("", "us-east-1", aws))


def test_a_bucket_elsewhere_is_read(aws: str) -> None:
    bucket = Bucket(aws, "eu-central-1")
    bucket.put(DAYS[0])
    bucket.options = AwsOptions("", "us-east-1", aws)
    assert bucket.keys() == [DAYS[0]]


@pytest.mark.usefixtures("own_clients")
def test_missing_credentials_are_told(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(NoAccess, match="no AWS credentials") as caught:
        objects("s3://logs/", since=None, until=None, session=AwsOptions("", "us-east-1", aws))
    assert "--profile" in caught.value.hint


@pytest.mark.usefixtures("own_clients")
def test_an_unknown_profile_is_told() -> None:
    with pytest.raises(UsageError, match="nobody"):
        objects("s3://logs/", since=None, until=None, session=AwsOptions("nobody"))


@pytest.mark.usefixtures("own_clients")
def test_an_address_where_nobody_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_ATTEMPTS", 1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        options = AwsOptions("", "us-east-1", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(ReadError, match="cannot be reached") as caught:
            objects("s3://logs/", since=None, until=None, session=options)
    assert "--endpoint-url" in caught.value.hint


@pytest.mark.usefixtures("aws_environment")
def test_an_endpoint_that_is_no_url_is_told() -> None:
    with pytest.raises(UsageError):
        objects("s3://logs/", since=None, until=None, session=AwsOptions("", "us-east-1", "no url"))


@pytest.mark.usefixtures("own_clients")
def test_a_forked_worker_has_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = session.client("s3", OPTIONS)
    assert session.client("s3", OPTIONS) is mine
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert session.client("s3", OPTIONS) is not mine


@pytest.mark.parametrize(
    ("region", "part"),
    [("eu-central-1", "aws"), ("", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_arns_name_the_part_of_aws(region: str, part: str) -> None:
    assert session.partition(region) == part


@pytest.mark.usefixtures("own_clients")
def test_a_missing_boto3_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError) as caught:
        objects("s3://logs/", since=None, until=None, session=AwsOptions())
    assert caught.value.hint == "pip install 'keepalign[aws]'"


# ── addresses and names ──────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=60))
def test_any_address_is_parsed_or_refused(text: str) -> None:
    for url in (text, "s3://" + text, "s3://logs/" + text):
        try:
            address = Address.parse(url)
        except UsageError:
            continue
        assert str(address).rstrip("/") == url.rstrip("/")


@given(
    st.text(max_size=40), st.sampled_from(["", "_20261122T1005Z_", "_20269922T1005Z_", "_20261122T9905Z_"])
)
def test_the_end_of_an_interval_is_read_from_any_name(text: str, stamp: str) -> None:
    ended = ended_at(f"{text.replace('Z_', '')}{stamp}x.log.gz")
    if "/" not in stamp and stamp == "_20261122T1005Z_" and "_2" not in text:
        assert ended == at("2026-11-22T10:05")
    if stamp in ("_20269922T1005Z_", "_20261122T9905Z_"):
        assert ended is None


def test_sizes_and_prices_are_rounded_for_people() -> None:
    assert [bytes_text(size) for size in (0, 999, 1000, 12_345_678, 999 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "12.3 MB",
        "999 TB",
    ]
    assert usd(0.004) == "less than $0.01"
    assert usd(1.239) == "about $1.24"


def test_every_error_is_ours(bucket: Bucket) -> None:
    bucket.put(DAYS[0])
    for url in ("s3://", "s3:///x", "http://x/y", "s3://a", f"s3://{bucket.name}/" + "k" * 1025):
        with pytest.raises(KeepalignError):
            objects(url, since=None, until=None, session=bucket.options)
    assert s3.SCHEME == "s3://"
