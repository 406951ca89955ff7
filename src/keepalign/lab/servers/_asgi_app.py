"""Answers as `recipes.stand_in` does, as an ASGI application.

It is copied beside the configuration of the server that loads it, and imports the standard library alone.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

_Message = Mapping[str, Any]  # as the ASGI specification has it
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

_PIECE = b"keepalign stand-in\n"


def _declared(path: str) -> tuple[float, float]:
    """Silence and whole request of `path`, in seconds; the longest prefix decides, else at once."""
    rows = json.loads(os.environ.get("KEEPALIGN_STAND_IN", "[]"))
    fits = [row for row in rows if path.startswith(row[0])]
    _, silence, request = max(fits, key=lambda row: len(row[0]), default=("", 0.0, 0.0))
    return float(silence), float(request)


async def application(scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
    """The ASGI application: life span and HTTP, no WebSocket."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    silence, request = _declared(scope["path"])
    await asyncio.sleep(silence)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    passed = silence
    while silence > 0 and passed + silence <= request:
        await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
        await asyncio.sleep(silence)
        passed += silence
    await send({"type": "http.response.body", "body": _PIECE})
