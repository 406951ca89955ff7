"""The ASGI application answers as the WSGI one does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from tests.lab.recipes.test_stand_in import DECLARED

from keepalign.lab.recipes import stand_in
from keepalign.lab.servers import _asgi_app


def sent(scope: Mapping[str, str], *received: Mapping[str, object]) -> list[Mapping[str, object]]:
    incoming, outgoing = list(received), list[Mapping[str, object]]()

    async def receive() -> Mapping[str, object]:
        return incoming.pop(0)

    async def send(message: Mapping[str, object]) -> None:
        outgoing.append(message)

    asyncio.run(_asgi_app.application(scope, receive, send))
    assert not incoming, "a body that is not read spoils the connection"
    return outgoing


@pytest.mark.parametrize("path", ["/", "/slow", "/slow/too", "/stream", "/stream/at-once"])
def test_pieces_are_those_of_the_wsgi_application(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stand_in.VARIABLE, json.dumps(DECLARED))
    body = [{"more_body": True}, {"more_body": False}]
    start, *pieces = sent({"type": "http", "path": path}, *body)
    assert (start["status"], pieces[-1].get("more_body", False)) == (200, False)
    monkeypatch.setattr(stand_in, "_pause", lambda _: None)
    expected = list(stand_in._body(*stand_in._declared(path)))
    assert [piece["body"] for piece in pieces] == expected


def test_life_span_is_acknowledged() -> None:
    messages = sent({"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert [m["type"] for m in messages] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
