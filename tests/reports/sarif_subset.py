"""The part of SARIF 2.1.0 that keepalign writes, as a JSON Schema: no name that is not in the standard.

Written by hand from the sections named, because the standard's own schema is not ours to distribute:
<https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html>. It is
stricter than that schema about names, and says nothing of what keepalign does not write.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Schema: TypeAlias = dict[str, object]


def closed(required: str, **properties: object) -> Schema:
    """An object of just these properties."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def many(items: object, least: int = 0) -> Schema:
    """An array; SARIF wants most of them without repeats."""
    return {"type": "array", "items": items, "minItems": least, "uniqueItems": True}


TEXT: Final[Schema] = {"type": "string", "minLength": 1}
BAG: Final[Schema] = {"type": "object"}
URI: Final[Schema] = {"type": "string", "pattern": r"^[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+$"}
ABSOLUTE: Final[Schema] = {"type": "string", "pattern": "^[a-z]+://"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 1}
LEVEL: Final[Schema] = {"enum": ["none", "note", "warning", "error"]}

MESSAGE: Final = closed("text", text=TEXT, markdown=TEXT)  # 3.11, 3.12
ARTIFACT: Final = closed("uri", uri=URI, uriBaseId=TEXT)  # 3.4
REGION: Final = closed(  # 3.30
    "startLine",
    startLine=COUNT, startColumn=COUNT, endLine=COUNT, endColumn=COUNT,
    snippet=closed("text", text={"type": "string"}),
)  # fmt: skip
PHYSICAL: Final = closed("artifactLocation", artifactLocation=ARTIFACT, region=REGION)  # 3.29
LOCATION: Final = closed(  # 3.28
    "physicalLocation",
    id={"type": "integer", "minimum": 0},
    physicalLocation=PHYSICAL,
    logicalLocations=many(closed("fullyQualifiedName", fullyQualifiedName=TEXT)),
    message=MESSAGE,
)
RULE: Final = closed(  # 3.49
    "id",
    id=TEXT, name=TEXT, shortDescription=MESSAGE, fullDescription=MESSAGE, help=MESSAGE, helpUri=ABSOLUTE,
    defaultConfiguration=closed("level", level=LEVEL), properties=BAG,
)  # fmt: skip
FIX: Final = closed(  # 3.55, 3.56, 3.57
    "artifactChanges",
    description=MESSAGE,
    artifactChanges=many(
        closed(
            "artifactLocation replacements",
            artifactLocation=ARTIFACT,
            replacements=many(
                closed(
                    "deletedRegion",
                    deletedRegion=REGION,
                    insertedContent=closed("text", text={"type": "string"}),
                ),
                1,
            ),
        ),
        1,
    ),
)
SUPPRESSION: Final = closed(  # 3.35
    "kind",
    kind={"enum": ["inSource", "external"]},
    status={"enum": ["accepted", "underReview", "rejected"]},
    justification=TEXT,
    location=LOCATION,
)
RESULT: Final = closed(  # 3.27
    "message",
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations=many(LOCATION),
    relatedLocations=many(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    fixes=many(FIX),
    suppressions=many(SUPPRESSION),
    properties=BAG,
)
NOTIFICATION: Final = closed("message", level=LEVEL, message=MESSAGE, locations=many(LOCATION))  # 3.58
INVOCATION: Final = closed(  # 3.20
    "executionSuccessful",
    executionSuccessful={"type": "boolean"},
    toolExecutionNotifications={"type": "array", "items": NOTIFICATION},
)
DRIVER: Final = closed(  # 3.19
    "name", name=TEXT, version=TEXT, semanticVersion=TEXT, informationUri=ABSOLUTE, rules=many(RULE)
)
RUN: Final = closed(  # 3.14
    "tool",
    tool=closed("driver", driver=DRIVER),
    invocations={"type": "array", "items": INVOCATION},
    originalUriBaseIds={"type": "object", "additionalProperties": closed("", description=MESSAGE, uri=URI)},
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=many(RESULT),
    properties=BAG,
)
LOG: Final[Schema] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {"$schema": ABSOLUTE, "version": {"const": "2.1.0"}, "runs": many(RUN)},
}
