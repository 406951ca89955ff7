"""`format` with the verbs that Terraform shares with everyday use; any other verb is unknown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from keepalign.readers.terraform.values import Value, number_of, plain, refuse, stop, text_of

_VERB: Final = re.compile(r"%(?:%|([-+0 ]*)(\d{0,3})(?:\.(\d{0,2}))?([a-zA-Z]))")


def format_text(template: str, args: Sequence[Value]) -> str:
    """`template` with each verb replaced by the next argument.

    Raises: Stop: an unknown argument, too few or too many of them, or a verb that is not evaluated.
    """
    taken = 0

    def put_in(match: re.Match[str]) -> str:
        nonlocal taken
        if match[0] == "%%":
            return "%"
        if taken >= len(args):
            refuse("format has fewer arguments than verbs")
        value = args[taken]
        taken += 1
        flags, width, precision, verb = match[1], match[2], match[3], match[4]
        match verb:
            case "s" | "v":
                text = text_of(value)
                return text.ljust(int(width)) if width and "-" in flags else text.rjust(int(width or 0))
            case "d":
                number = number_of(value)
                if not isinstance(number, int):
                    refuse("format %d with a number that is not whole")
                return f"%{flags}{width}d" % number
            case "f":
                places = f".{precision}" if precision is not None else ""
                return f"%{flags}{width}{places}f" % number_of(value)
            case "q":
                import json

                return json.dumps(plain(value), ensure_ascii=False)
            case other:
                stop(f"format %{other} is not evaluated")

    result = _VERB.sub(put_in, template)
    if taken < len(args):
        refuse("format has more arguments than verbs")
    return result
