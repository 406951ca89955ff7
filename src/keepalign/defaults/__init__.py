"""Documented defaults, per product and version, each with its source.

One TOML per product, named by the product's `Product` word. Keys of each `[[setting]]`:

    option        the vendor's own name
    role          a word of `model.timers.Role`, or one that only people read
    default_s     seconds; "unlimited", "disabled", or "none" (not a duration, or no default)
    since, until  versions between which this default holds, until exclusive; empty: as far as checked
    unit          of a bare number: "s" or "ms"
    minimum_s, maximum_s   what the product accepts; absent when not documented
    granularity_s the steps in which a value can be given; absent when it cannot be scaled
    late_by_s     how much later than configured the timer may fire, whatever its value; 0 when exact
    scalable      whether the lab may scale it; "no" comes with a note
    evidence      doc, source, measured, secondhand, unverified; joined by +
    note, source  a remark; an address
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from keepalign.model.path import Product
from keepalign.model.setting import Default, Disabled, Setting, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, Unit
from keepalign.model.timers import Role
from keepalign.units import Duration


@dataclass(frozen=True, slots=True)
class Documented:
    """One row: what a product's documentation says of one option. `default` is None for "none"."""

    option: str
    role: str
    default: Duration | None
    kind: str
    since: str
    until: str
    unit: Unit
    minimum: Duration | None
    maximum: Duration | None
    granularity: Duration | None
    late_by: Duration
    scalable: bool
    evidence: str
    note: str
    source: str

    def holds_in(self, version: str) -> bool:
        """Whether `version` lies between `since` and `until`; "1.29" is taken as 1.29.0."""
        here = _numbers(version)
        return _numbers(self.since) <= here and (not self.until or here < _numbers(self.until))

    @property
    def versions(self) -> str:
        """For people: "since 2.4.39", "before 7.0", or empty."""
        parts = [f"since {self.since}" if self.since else "", f"before {self.until}" if self.until else ""]
        return ", ".join(p for p in parts if p)


def is_before(version: str, other: str) -> bool:
    """Whether `version` is older than `other`. "18" stands for the newest release 18, so it is not older than
    "18.2"; "18.0" is.
    """
    here, there = (re.findall(r"\d+", text.partition("-")[0]) for text in (version, other))
    return [int(part) for part in here] < [int(part) for part in there[: len(here)]]


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without zeros at the end; "" is below all."""
    found = [int(part) for part in re.findall(r"\d+", version.partition("-")[0])]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ProductDefaults:
    """All rows of a product. `label` is its name for people, `checked` the month the rows were checked."""

    product: Product
    label: str
    checked: str
    rows: tuple[Documented, ...]

    def row(self, option: str, version: str = "") -> Documented:
        """The row of a vendor option in `version`; the newest where that is empty or in no row.

        Raises: KeyError: no such option (a fault of ours).
        """
        rows = [row for row in self.rows if row.option == option]
        if not rows:
            raise KeyError(f"defaults/{self.product}.toml has no option {option!r}")
        return next((row for row in rows if version and row.holds_in(version)), rows[-1])

    def setting(self, option: str, *, version: str = "", site: Site | None = None) -> Setting:
        """The default of `option` as a Setting, with its origin; `site` is where a value could be written.

        Unknown, with every default named, where versions differ and `version` is empty.
        """
        row = self.row(option, version)
        others = [
            r for r in self.rows if r.option == option and (r.default, r.kind) != (row.default, row.kind)
        ]
        if others and not version:
            both = "; ".join(
                f"{r.default if r.default is not None else r.kind} {r.versions}".strip()
                for r in (*others, row)
            )
            return Unknown(
                option=option,
                origin=Origin(OriginKind.DEFAULT, note=f"{self.label} default", source=row.source),
                site=site,
                reason=f"the default depends on the version of {self.label} ({both}), which is not known",
            )
        origin = Origin(
            OriginKind.DEFAULT, note=f"{self.label} default" + (f", {row.versions}" if row.versions else ""),
            source=row.source,
        )  # fmt: skip
        match row.kind:
            case "unlimited":
                return Unlimited(option=option, origin=origin, site=site)
            case "disabled":
                return Disabled(option=option, origin=origin, site=site)
            case _ if row.default is not None:
                return Default(option=option, origin=origin, site=site, value=row.default)
            case _:
                return Unknown(
                    option=option, origin=origin, site=site, reason=f"{self.label} documents no default"
                )

    def for_role(self, role: Role) -> tuple[Documented, ...]:
        """The rows of one role, in file order."""
        return tuple(row for row in self.rows if row.role == role)


@cache
def load(product: Product) -> ProductDefaults:
    """The defaults of one product, from the package."""
    raw = tomllib.loads((files(__name__) / f"{product}.toml").read_text("utf-8"))

    def duration(value: object) -> Duration | None:
        return Duration.of(s=float(value)) if isinstance(value, int | float) else None

    rows = tuple(
        Documented(
            option=r["option"],
            role=r["role"],
            default=duration(r["default_s"]),
            kind=r["default_s"] if isinstance(r["default_s"], str) else "value",
            since=r.get("since", ""),
            until=r.get("until", ""),
            unit=Unit(r.get("unit", "s")),
            minimum=duration(r.get("minimum_s")),
            maximum=duration(r.get("maximum_s")),
            granularity=duration(r.get("granularity_s")),
            late_by=Duration.of(s=r.get("late_by_s", 0)),
            scalable=r.get("scalable", True),
            evidence=r["evidence"],
            note=r.get("note", ""),
            source=r["source"],
        )
        for r in raw["setting"]
    )
    return ProductDefaults(product=product, label=raw["label"], checked=raw["checked"], rows=rows)
