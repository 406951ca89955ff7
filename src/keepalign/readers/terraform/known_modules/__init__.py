"""Modules of the Terraform registry that many stacks call, by tables of their argument names.

Their code is not in a caller's tree, so that nothing could be read behind the call. What matters of it here
is little: which arguments become which timeouts, what their defaults are, and what the outputs refer to. Each
`*.hcl` file beside this one says so in a few lines, with the resource addresses of the real module, and is
evaluated like any module. Two functions exist only there:

    keepalign::given(object, "key", default)      as `lookup`: null where somebody wrote null
    keepalign::optional(object, "key", default)   as `optional(…, default)` in a type: the default also then

Both know where the argument would be written in the caller's file; `relocation` puts everything else that
stands in these files at the call itself.

A copy of the modules below `.terraform` is not read: where there is one depends on who ran `terraform init`,
and the same commit has to give the same findings on a laptop and in a pipeline. A module whose source is a
folder of the tree is always read itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, TypeAlias

SCHEME: Final = "keepalign:"
"""Begins the `source` by which one of these files calls another."""

_Version: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KnownModule:
    """One range of versions of a module, in which its arguments mean the same.

    Args:
        stem: of its file.
        name: as the registry has it, with the folder of a submodule ("…/ecs/aws//modules/service").
        since, until: versions; until exclusive.
        telling: arguments, and keys inside them, that only these versions have.
        source: address of the file that its defaults come from.
    """

    stem: str
    name: str
    since: str
    until: str
    source: str
    telling: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """For people: "terraform-aws-modules/alb/aws, versions 9 to below 11"."""
        return f"{self.name}, versions {self.since} to below {self.until}"

    @property
    def text(self) -> bytes:
        """Its file."""
        return (files(__name__) / f"{self.stem}.hcl").read_bytes()


@dataclass(frozen=True, slots=True)
class NotKnown:
    """A module of the table, of which nothing can be said; `reason` completes "was not read: …"."""

    reason: str


def _github(repository: str, tag: str, path: str = "variables.tf") -> str:
    return f"https://github.com/{repository}/blob/{tag}/{path}"


_ALB_8: Final = frozenset({
    "create_lb", "http_tcp_listeners", "http_tcp_listener_rules", "https_listeners", "https_listener_rules",
    "lb_tags", "listener_ssl_policy_default", "load_balancer_create_timeout", "target_group_tags",
})  # fmt: skip
_ALB_9: Final = frozenset({
    "additional_target_group_attachments", "associate_web_acl", "client_keep_alive", "default_port",
    "default_protocol", "listeners", "route53_records", "security_group_egress_rules",
    "security_group_ingress_rules",
})  # fmt: skip
# Version 6 has the keys of containers as ECS has them.
_ECS_5: Final = frozenset({
    "autoscaling_capacity_providers", "cluster_settings", "default_capacity_provider_use_fargate",
    "dependencies", "fargate_capacity_providers", "linux_parameters", "log_configuration",
    "memory_reservation", "mount_points", "port_mappings", "readonly_root_filesystem",
    "security_group_rules", "stop_timeout",
})  # fmt: skip
_ECS_6: Final = frozenset({
    "capacity_providers", "cluster_capacity_providers", "cluster_setting",
    "default_capacity_provider_strategy", "dependsOn", "linuxParameters", "logConfiguration",
    "memoryReservation", "mountPoints", "portMappings", "readonlyRootFilesystem",
    "security_group_egress_rules", "security_group_ingress_rules", "stopTimeout",
})  # fmt: skip

# The versions were compared tag by tag (checked 2026-11): all in one row have the same defaults.
_MODULES: Final = (
    KnownModule(
        "aws_modules_alb_5", "terraform-aws-modules/alb/aws", "5", "9",
        _github("terraform-aws-modules/terraform-aws-alb", "v8.7.0"), _ALB_8,
    ),
    KnownModule(
        "aws_modules_alb_9", "terraform-aws-modules/alb/aws", "9", "11",
        _github("terraform-aws-modules/terraform-aws-alb", "v10.5.0"), _ALB_9,
    ),
    KnownModule(
        "aws_modules_ecs_5", "terraform-aws-modules/ecs/aws", "5", "6",
        _github("terraform-aws-modules/terraform-aws-ecs", "v5.12.1", "main.tf"), _ECS_5,
    ),
    KnownModule(
        "aws_modules_ecs_6", "terraform-aws-modules/ecs/aws", "6", "8",
        _github("terraform-aws-modules/terraform-aws-ecs", "v7.5.0"), _ECS_6,
    ),
    KnownModule(
        "aws_modules_ecs_service_5", "terraform-aws-modules/ecs/aws//modules/service", "5", "6",
        _github("terraform-aws-modules/terraform-aws-ecs", "v5.12.1", "modules/service/main.tf"), _ECS_5,
    ),
    KnownModule(
        "aws_modules_ecs_service_6", "terraform-aws-modules/ecs/aws//modules/service", "6", "8",
        _github("terraform-aws-modules/terraform-aws-ecs", "v7.5.0", "modules/service/variables.tf"),
        _ECS_6,
    ),
    KnownModule(
        "cloudposse_alb", "cloudposse/alb/aws", "0.29", "3",
        _github("cloudposse/terraform-aws-alb", "v2.5.0"),
    ),
    KnownModule(
        "cloudposse_alb_ingress", "cloudposse/alb-ingress/aws", "0.21", "1",
        _github("cloudposse/terraform-aws-alb-ingress", "v0.31.0"),
    ),
    KnownModule(
        "cloudposse_ecs_alb_service_task", "cloudposse/ecs-alb-service-task/aws", "0.30", "1",
        _github("cloudposse/terraform-aws-ecs-alb-service-task", "v0.78.0"),
    ),
    KnownModule(
        "cloudposse_ecs_container_definition", "cloudposse/ecs-container-definition/aws", "0.40", "1",
        _github("cloudposse/terraform-aws-ecs-container-definition", "v0.61.2"),
    ),
    KnownModule(
        "cloudposse_ecs_web_app", "cloudposse/ecs-web-app/aws", "1", "3",
        _github("cloudposse/terraform-aws-ecs-web-app", "v2.4.3"),
    ),
    KnownModule(
        "cloudposse_label", "cloudposse/label/null", "0.24", "1",
        _github("cloudposse/terraform-null-label", "0.25.0"),
    ),
    KnownModule(
        "umotif_ecs_fargate", "umotif-public/ecs-fargate/aws", "6", "9",
        _github("umotif-public/terraform-aws-ecs-fargate", "8.2.0"),
    ),
    KnownModule(
        "umotif_alb", "umotif-public/alb/aws", "1", "3",
        _github("umotif-public/terraform-aws-alb", "2.2.2"),
    ),
)  # fmt: skip


@cache
def _by_name() -> Mapping[str, tuple[KnownModule, ...]]:
    found: dict[str, tuple[KnownModule, ...]] = {}
    for one in _MODULES:
        found[one.name] = (*found.get(one.name, ()), one)
    return found


def known_module(source: str, version: str, keys: Collection[str]) -> KnownModule | NotKnown | None:
    """What stands for a module call; None when its source is none of the table's.

    Args:
        source: as written: of a registry, or an address of git.
        version: the call's version constraint; empty without one. Of git, the `ref` says it.
        keys: that the call sets, inside its arguments too.
    """
    if source.startswith(SCHEME):
        stem = source.removeprefix(SCHEME)
        return next((one for one in _MODULES if one.stem == stem), None)
    name, ref = _name(source)
    rows = _by_name().get(name)
    if rows is None:
        return None
    bounds = _bounds(ref.removeprefix("refs/tags/").removeprefix("tags/").lstrip("v") or version)
    if bounds is not None:
        low, high = bounds
        rows_of = [one for one in rows if low < _parts(one.until) and _parts(one.since) < high]
        if not rows_of:
            known = f"{rows[0].since} to before {rows[-1].until}"
            return NotKnown(f"keepalign knows {name} from version {known}, and this is {ref or version}")
    else:
        rows_of = list(rows)
    if len(rows_of) > 1:
        # Terraform refuses an argument that a module does not have.
        others = {one: frozenset().union(*(o.telling for o in rows if o is not one)) for one in rows_of}
        rows_of = [one for one in rows_of if not (others[one] - one.telling) & set(keys)] or rows_of
    if len(rows_of) == 1:
        return rows_of[0]
    meanings = " and ".join(f"{one.since}" for one in rows_of)
    return NotKnown(
        f"its version is not pinned, and {name} takes other arguments in the versions from {meanings};"
        f' version = "~> {rows_of[-1].since}.0" would decide'
    )


_REGISTRY: Final = re.compile(
    r"(?:registry\.(?:terraform\.io|opentofu\.org)/)?([\w-]+/[\w-]+/(?:aws|null))(//[\w./-]+)?"
)
_GIT: Final = re.compile(
    r"(?:git::)?(?:https://|ssh://)?(?:git@|[^/@]*@)?github\.com[/:]([\w-]+)/terraform-(aws|null)-([\w-]+?)(?:\.git)?"
    r"(//[\w./-]+)?(?:\?(.*))?"
)


def _name(source: str) -> tuple[str, str]:
    """The registry's name of a module, and the git ref that the source names."""
    if registry := _REGISTRY.fullmatch(source):
        return f"{registry[1]}{(registry[2] or '').rstrip('/')}", ""
    if git := _GIT.fullmatch(source):
        owner, provider, name, folder, query = git.groups()
        parts = dict(part.partition("=")[::2] for part in (query or "").split("&"))
        return f"{owner}/{name}/{provider}{(folder or '').rstrip('/')}", parts.get("ref", "")
    return "", ""


_APART: Final = frozenset({
    "acm", "alarms", "aurora", "autoscaling", "backup", "bucket", "budgets", "certificate", "cloudtrail",
    "cloudwatch", "codebuild", "codepipeline", "database", "dns", "docdb", "dynamodb", "ebs", "ecr", "efs",
    "elasticache", "eventbridge", "firehose", "iam", "key", "kms", "label", "logs", "msk", "network",
    "notifications", "null", "opensearch", "postgres", "rds", "redis", "redshift", "route53", "s3", "secrets",
    "security", "ses", "sns", "sqs", "ssm", "storage", "subnets", "tags", "vpc", "vpn", "waf", "wafv2",
})  # fmt: skip
_TAKES_PART: Final = frozenset(
    {"alb", "balancer", "ecs", "elb", "fargate", "ingress", "lb", "loadbalancer", "nlb"}
)


def apart(source: str) -> bool:
    """Whether a module that is no folder of the tree has a name that no balancer or service has.

    A caller has dozens of them: networks, buckets, certificates, databases. What one of them hands to a
    balancer or a service is told there, where it is used.
    """
    words = frozenset(re.split(r"[^a-z0-9]+", source.lower()))
    if source.rpartition("/")[2] in ("azurerm", "google"):
        return True
    return bool(_APART & words) and not _TAKES_PART & words


_TERM: Final = re.compile(r"(~>|>=|<=|!=|[=<>])?\s*v?(\d{1,6}(?:\.\d{1,6}){0,2})(?:-[\w.]+)?")
_ANY: Final = (10**9,)


def _bounds(constraint: str) -> tuple[_Version, _Version] | None:
    """The versions that a constraint allows, the second exclusive; None when it says nothing.

    Source: developer.hashicorp.com/terraform/language/expressions/version-constraints (checked 2026-11).
    """
    low: _Version = ()
    high: _Version = _ANY
    for text in constraint.split(","):
        if not text.strip():
            continue
        term = _TERM.fullmatch(text.strip())
        if term is None:
            return None
        version = _parts(term[2])
        match term[1] or "=":
            case "~>":
                # `~> 9` has nothing in front of its last number, so no end.
                low, high = max(low, version), min(high, _next(version[:-1]) if version[1:] else _ANY)
            case ">=" | ">":
                low = max(low, version)
            case "<":
                high = min(high, version)
            case "<=":
                high = min(high, (*version, 1))
            case "=":
                low, high = max(low, version), min(high, (*version, 1))
            case _:
                pass
    return None if (low, high) == ((), _ANY) else (_short(low), _short(high))


def _parts(version: str) -> _Version:
    return tuple(int(part) for part in version.split("."))


def _short(version: _Version) -> _Version:
    """Without zeros at the end: 9.0 is 9."""
    while version and not version[-1]:
        version = version[:-1]
    return version


def _next(version: _Version) -> _Version:
    return (*version[:-1], version[-1] + 1)
