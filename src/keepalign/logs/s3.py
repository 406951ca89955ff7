"""Log objects below an `s3://` address: found with few requests, told what they cost, read as streams.

Keys of access logs carry their time twice (ALB guide, "Access log files"; CLB guide, "Access log files"):
`…/AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/ACCOUNT_elasticloadbalancing_REGION_app.LB_ENDTIME_…`,
the folder by the day of delivery, the name by the end of the interval, 5 minutes for an ALB, 5 or 60 for a
Classic Load Balancer. As keys are listed in the order of their names, a window of time is one listing per
region's folder that starts at its first day and stops behind its last; those folders are found from above by
listings with a delimiter. Delivery is best effort, so a day more is listed, and the name decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from keepalign.errors import NothingToRead, ReadError, UsageError
from keepalign.logs._aws_errors import Asked, code_of
from keepalign.logs._s3_body import S3Opener
from keepalign.logs.aws_options import AwsOptions
from keepalign.logs.objects import Kind, LogObject, Skipped, kind_by_name
from keepalign.logs.session import Record, ask, pages, partition
from keepalign.units import Duration, Instant

SCHEME: Final = "s3://"

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}", re.ASCII)
_WILD: Final = re.compile(r"[*?]")
_DAY_IN_KEY: Final = re.compile(r"(\d{4})/(\d\d)/(\d\d)/", re.ASCII)
_YEAR: Final = re.compile(r"(.*/|)((?:19|20)\d\d)/", re.ASCII | re.DOTALL)
_MONTH: Final = re.compile(r"(?:.*/)?[01]\d/", re.ASCII | re.DOTALL)
_DATED: Final = re.compile(r"(.*/|)(?:19|20)\d\d/[01]\d/(?:[0-3]\d/.*)?", re.ASCII | re.DOTALL)
"""A prefix that ends in a month, or below a day."""
_ENDED: Final = re.compile(r"_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z_", re.ASCII)
_VENDED: Final = re.compile(r"\.(?:parquet|jsonl?|ndjson|log|txt|gz)$", re.ASCII | re.IGNORECASE)
"""Names of vended log delivery, which its owner chooses; the content decides."""
_OTHER_LOGS: Final = re.compile(
    r"(?:^|/)AWSLogs/[^/]+/(?:CloudTrail[^/]*|Config|GuardDuty|WAFLogs|vpc[^/]*|Route53[^/]*|CloudFront)/$",
    re.ASCII,
)
_ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_FOLDERS: Final = 64
_DEPTH: Final = 3
"""Outside of AWSLogs, more folders at a level than this, or levels without a year, are listed plainly."""
_NAMED: Final = 1000
"""Skipped objects that are named; further ones are only counted."""
_INTERVALS: Final = {Kind.ALB: Duration.of(s=300), Kind.CLASSIC: Duration.of(s=3600)}
_LATE: Final = Duration.of(s=300)
"""Nodes' clocks and the ends of intervals are not exact; nothing states a limit."""
_US_PER_DAY: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)

GET_USD: Final = 0.0004 / 1000
LIST_USD: Final = 0.005 / 1000
OUT_USD_PER_GB: Final = 0.09
PRICES: Final = "S3 Standard in us-east-1, aws.amazon.com/s3/pricing, 2026-11; other regions differ"
"""What the three prices are: GET, LIST, and a gigabyte that leaves AWS over the internet."""


@dataclass(frozen=True, slots=True)
class Address:
    """`s3://bucket/prefix`: `prefix` without the wildcards of the last part, which `glob` has."""

    bucket: str
    prefix: str
    glob: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises: UsageError: it is no s3:// address, or has * or ? before its last part."""
        bucket, _, rest = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not _BUCKET.fullmatch(bucket):
            raise UsageError(f"{url[:200]!r} is no S3 address", hint="write s3://BUCKET/PREFIX")
        if len(rest.encode("utf-8", "surrogatepass")) > 1024 or "\0" in rest:
            raise UsageError(f"{url[:60]!r}… is longer than a key can be, or holds a NUL")
        folder, slash, last = rest.rpartition("/")
        if _WILD.search(folder):
            hint = "give the folder above it, and --since and --until"
            raise UsageError(f"{url[:200]!r}: * and ? stand in the last part only", hint=hint)
        wild = _WILD.search(last)
        if wild is None:
            return cls(bucket, rest)
        return cls(bucket, folder + slash + last[: wild.start()], rest)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.glob or self.prefix}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What reading costs, before it is done. `gets`, `lists`: requests; `size`: bytes as they are stored."""

    gets: int
    lists: int
    size: int

    @property
    def requests_usd(self) -> float:
        """For the requests, in US dollars."""
        return self.gets * GET_USD + self.lists * LIST_USD

    def __str__(self) -> str:
        """One sentence that says what it assumes."""
        out = self.size / 1e9 * OUT_USD_PER_GB
        return (
            f"{self.gets} objects, {bytes_text(self.size)}: {usd(self.requests_usd)} for requests"
            f" ({PRICES}); transfer costs nothing inside the bucket's region, and {usd(out)}"
            " to a machine outside of AWS"
        )


@dataclass(slots=True)
class Listing:
    """What lies below an address.

    Args:
        objects: access logs, and what may be vended ones, in the order of their names.
        beside: connection logs and health check logs.
        skipped: what is not read, by name, the first thousand of `skips`.
        outside: objects whose name says that their time is not asked for: only counted.
        lists: requests that it took.
    """

    address: Address
    objects: list[LogObject] = field(default_factory=list)
    beside: list[LogObject] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skips: int = 0
    outside: int = 0
    lists: int = 0

    @property
    def estimate(self) -> Estimate:
        """Of reading `objects` and `beside`."""
        both = [*self.objects, *self.beside]
        return Estimate(len(both), self.lists, sum(one.size for one in both))


class _Stored(Record):
    key: str
    size: int = 0
    e_tag: str = ""
    storage_class: str = ""


class _Folder(Record):
    prefix: str


class _Page(Record):
    contents: tuple[_Stored, ...] = ()
    common_prefixes: tuple[_Folder, ...] = ()


class _Head(Record):
    content_length: int = 0
    e_tag: str = ""
    storage_class: str = ""


def objects(url: str, *, since: Instant | None, until: Instant | None, session: AwsOptions) -> Listing:
    """What lies below `url` and holds lines from `since` until before `until`; None: no limit.

    An exact key is taken as it is, whatever its time.
    Raises: UsageError: `url` is no address. NoAccess, ReadError: the bucket cannot be listed.
    NothingToRead: there is no log object; the message says what there was instead.
    """
    walk = _Walk(Address.parse(url), since, until, session)
    listing = walk.run()
    if not listing.objects and not listing.beside:
        met = [f"{listing.outside} of other times"] if listing.outside else []
        met += [f"{listing.skips} that are no log"] if listing.skips else []
        there = "; there are " + " and ".join(met) if met else ""
        some = "".join(f" ({one.name}: {one.why})" for one in listing.skipped[:1])
        hint = f"list what there is: aws s3 ls --recursive {SCHEME}{listing.address.bucket}/"
        raise NothingToRead(f"{listing.address}: no log object{there}{some}", hint=hint)
    return listing


class _Walk:
    """Goes through the keys below an address."""

    def __init__(
        self, address: Address, since: Instant | None, until: Instant | None, options: AwsOptions
    ) -> None:
        self.listing = Listing(address)
        self._since, self._until, self._options = since, until, options
        self._arn = f"arn:{partition(options.region)}:s3:::{address.bucket}"
        self._asked = Asked("s3:ListBucket", str(address), self._arn)
        longest = max(_INTERVALS.values())
        self._first_day = _day(Instant(since.us - _LATE.us)) if since is not None else None
        self._last_day = _day(until + longest + _LATE, later=1) if until is not None else None

    def run(self) -> Listing:
        address = self.listing.address
        if not address.glob and _like_a_file(address.prefix) and self._exact(address.prefix):
            return self.listing
        prefix = address.prefix if address.glob else self._meant(address.prefix)
        dated = _DATED.fullmatch(prefix)
        if address.glob or (self._since is None and self._until is None):
            self._plain(prefix)
        elif dated is not None:
            self._days(dated[1], below=prefix)
        else:
            self._descend(prefix, depth=0)
        for found in (self.listing.objects, self.listing.beside):
            found.sort(key=lambda one: one.name)
        return self.listing

    def _meant(self, prefix: str) -> str:
        """The folder, where there is one of this name; others that begin alike are told."""
        if not prefix or prefix.endswith("/"):
            return prefix
        pages = self._pages(prefix, Delimiter="/")
        folders = [folder.prefix for page in pages for folder in page.common_prefixes]
        if prefix + "/" not in folders:
            return prefix
        others = [folder for folder in folders if folder != prefix + "/"]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            self.listing.notes.append(f"{prefix}/ is read; {others[0]}{more}, which begin alike, are not")
        return prefix + "/"

    def _exact(self, key: str) -> bool:
        """Whether there is an object of this name; then it is taken."""
        bucket = self.listing.address.bucket
        asked = Asked("s3:GetObject", f"{SCHEME}{bucket}/{key}", f"{self._arn}/{key}")
        try:
            head = ask("s3", "head_object", self._options, _Head, asked, Bucket=bucket, Key=key)
        except ReadError as error:
            if code_of(error.__cause__) == "404":
                return False
            raise
        self._take(
            _Stored(key=key, size=head.content_length, e_tag=head.e_tag, storage_class=head.storage_class),
            any_time=True,
        )
        return True

    def _pages(self, prefix: str, **more: str) -> Iterator[_Page]:
        bucket = self.listing.address.bucket
        arguments = {"Bucket": bucket, "Prefix": prefix, **more}
        for page in pages("s3", "list_objects_v2", self._options, _Page, self._asked, **arguments):
            self.listing.lists += 1
            yield page

    def _plain(self, prefix: str) -> None:
        """Everything below `prefix`."""
        for page in self._pages(prefix):
            for stored in page.contents:
                self._take(stored)

    def _days(self, root: str, *, below: str) -> None:
        """The days asked for of `root`yyyy/mm/dd/, as far as they begin with `below`."""
        after = {"StartAfter": root + self._first_day} if self._first_day is not None else {}
        for page in self._pages(below, **after):
            for stored in page.contents:
                day = _DAY_IN_KEY.match(stored.key, len(root))
                if day is not None and self._last_day is not None and day[0] > self._last_day:
                    return
                self._take(stored)

    def _descend(self, prefix: str, *, depth: int) -> None:
        """Level by level, to the folders that are parted by date."""
        found = list(self._pages(prefix, Delimiter="/"))
        folders = [folder.prefix for page in found for folder in page.common_prefixes]
        year = _YEAR.fullmatch(prefix)
        if year is not None and folders and all(_MONTH.fullmatch(folder) for folder in folders):
            first, last = self._first_day or "", self._last_day or "~"
            if first[:4] <= year[2] <= last[:4]:
                self._days(year[1], below=prefix)
            return
        for page in found:
            for stored in page.contents:
                self._take(stored)
        ours = "AWSLogs" in prefix.split("/")
        plain = not ours and (depth >= _DEPTH or len(folders) > _FOLDERS)
        for folder in folders:
            if _OTHER_LOGS.search(folder):
                self._skip(folder, "logs of another service")
            elif plain:
                self._plain(folder)
            else:
                self._descend(folder, depth=depth + 1)

    def _take(self, stored: _Stored, *, any_time: bool = False) -> None:
        address = self.listing.address
        name = f"{SCHEME}{address.bucket}/{stored.key}"
        if address.glob and not _globbed(stored.key, address.glob):
            return
        if stored.key.endswith("/") and not stored.size:
            return
        kind = kind_by_name(name)
        if reason := _reason(stored, kind):
            self._skip(name, reason)
        elif not any_time and not self._in_time(stored.key, kind):
            self.listing.outside += 1
        else:
            opener = S3Opener(address.bucket, stored.key, self._options, stored.e_tag, stored.size)
            found = LogObject(name, stored.size, stored.e_tag.strip('"'), opener)
            beside = kind in (Kind.CONNECTION, Kind.HEALTH)
            (self.listing.beside if beside else self.listing.objects).append(found)

    def _skip(self, name: str, why: str) -> None:
        self.listing.skips += 1
        if len(self.listing.skipped) < _NAMED:
            self.listing.skipped.append(Skipped(name, why))

    def _in_time(self, key: str, kind: Kind | None) -> bool:
        """Whether the name leaves it possible that the object holds lines that are asked for."""
        ended = ended_at(key)
        if ended is None:
            return True
        interval = _INTERVALS.get(kind or Kind.OTHER, _INTERVALS[Kind.ALB])
        begun = Instant(ended.us - interval.us - _LATE.us)
        before = self._until is None or begun < self._until
        return before and (self._since is None or ended + _LATE >= self._since)


def ended_at(key: str) -> Instant | None:
    """The end of the interval that the name of a log object says; None: it says none."""
    found = _ENDED.search(key.rpartition("/")[2])
    if found is None:
        return None
    try:
        year, month, day, hour, minute = (int(part) for part in found.groups())
        ended = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    return Instant(int(ended.timestamp()) * 1_000_000)


def bytes_text(size: int) -> str:
    """For people, in powers of ten: "8.1 GB"."""
    number, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"


def usd(amount: float) -> str:
    """For people: never more exact than it is."""
    return "less than $0.01" if amount < 0.01 else f"about ${amount:.2f}"


def _reason(stored: _Stored, kind: Kind | None) -> str:
    """Why an object is not read; empty when it is."""
    if stored.storage_class in _ARCHIVED:
        return f"archived ({stored.storage_class}): aws s3api restore-object brings it back"
    if kind is Kind.TEST or (kind is None and not _VENDED.search(stored.key)):
        return str(kind or Kind.OTHER)
    return "" if stored.size else "empty"


def _like_a_file(key: str) -> bool:
    return not key.endswith("/") and (kind_by_name(key) is not None or _VENDED.search(key) is not None)


def _globbed(key: str, glob: str) -> bool:
    """Whether a key is meant by a pattern whose * and ? stand in the last part, which has no "/"."""
    folder, slash, last = glob.rpartition("/")
    rest = key.removeprefix(folder + slash)
    return key.startswith(folder + slash) and "/" not in rest and fnmatchcase(rest, last.replace("[", "[[]"))


def _day(at: Instant, *, later: int = 0) -> str:
    """ "2026/11/22/", so many days later."""
    return f"{_EPOCH + timedelta(days=at.us // _US_PER_DAY + later):%Y/%m/%d}/"
