"""CloudFormation templates, YAML and JSON, SAM and what the CDK synthesises.

`template` knows the sections of a file, `scope` what expressions are worth before a deploy, `parameters` what
stands beside a template, `stacks` which templates belong together; `properties`, `sites`, `containers`,
`listener_rules` and `resources` make of them what `readers/_aws.py` describes; `reader` does all of it.

A template is judged with the values that a deploy without further arguments would have: each parameter at
the value of its one parameter file, else at its Default. What has neither stays unknown.
"""

from __future__ import annotations

import os
import re
from typing import Final

_SUFFIXES: Final = (".yaml", ".yml", ".json", ".template")
_HEAD: Final = re.compile(
    rb"AWSTemplateFormatVersion|Transform[\"']?\s*:\s*[\"']?AWS::Serverless|Type[\"']?\s*:\s*[\"']?AWS::[A-Z]\w+::"
)
# Whatever else a template holds, no request passes through.
_TELLING: Final = re.compile(
    rb"AWS::(?:ElasticLoadBalancing|ECS::|CloudFront::Distribution|CloudFormation::Stack|Include)|Fn::Transform"
)


def recognise(path: str, head: bytes) -> bool:
    """Whether a file is a template, from its path and its first 4,096 bytes."""
    name = os.path.basename(path).lower()
    if not name.endswith(_SUFFIXES):
        return False
    # The CDK's templates begin with resources whose types may stand far behind.
    return _HEAD.search(head) is not None or (
        name.endswith(".template.json") and re.match(rb"\s*\{\s*\"[A-Z]", head) is not None
    )


def telling(data: bytes) -> bool:
    """Whether a template says anything of balancers, services, or templates that might."""
    return _TELLING.search(data) is not None
