"""The AWS CDK's source, TypeScript, JavaScript and Python: read, never run.

`_typescript` and `_python` turn a file into the same few expressions (`_expr`), with Python's names spelled
as TypeScript spells them; `_values` says what expressions are worth; `_stack` follows the constructs of one
file (`_constructs`: balancers, listeners, target groups, task definitions, services, and the patterns that
make all of them), and `_output` and `_images` give them the shapes of `readers/_aws.py`.

What a file does not say by itself (properties of a stack, context, anything computed) is unknown, with its
reason. The templates that the CDK synthesises say more: where a `cdk.out` is read too, it is read instead.
"""

from __future__ import annotations

import os
import re
from typing import Final

_SUFFIXES: Final = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".py")
# What only describes or tries what another file does.
_ASIDE: Final = re.compile(r"\.d\.[mc]?ts$|\.(?:test|spec)\.[a-z]+$|^test_|_test\.py$|^integ\.")
_IMPORTS: Final = re.compile(rb"aws-cdk-lib|@aws-cdk/|\baws_cdk\b")
_TELLING: Final = re.compile(rb"LoadBalance[dr]|TargetGroup|TaskDefinition|FargateService|Ec2Service")


def recognise(path: str, head: bytes) -> bool:
    """Whether a file is source of the CDK, from its path and its first 4,096 bytes."""
    name = os.path.basename(path)
    return name.endswith(_SUFFIXES) and _ASIDE.search(name) is None and _IMPORTS.search(head) is not None


def telling(data: bytes) -> bool:
    """Whether the file names any construct that is read."""
    return _TELLING.search(data) is not None
