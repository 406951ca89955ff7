"""How AWS is to be asked, as options have it: apart from what asks, which takes longer to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

DATABASE: Final = "keepalign"
"""Where our tables in Athena are made."""


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """`--profile`, `--region`, `--endpoint-url`; empty: boto3's own way to find it."""

    profile: str = ""
    region: str = ""
    endpoint_url: str = ""


@dataclass(frozen=True, slots=True)
class Athena:
    """How Athena is used.

    Args:
        database: where our tables are made, or where `table` is.
        table: one that is there, of AWS's form; empty: ours.
        workgroup: whose settings and limits hold. output: "s3://…", for results; empty: the workgroup's.
        session: profile and region; the region is that of the bucket, too.
    """

    session: AwsOptions = field(default_factory=AwsOptions)
    database: str = DATABASE
    table: str = ""
    workgroup: str = "primary"
    output: str = ""
