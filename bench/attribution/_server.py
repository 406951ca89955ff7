"""A small HTTP server that can do what no real one does on demand: stop accepting with a full queue.

    python _server.py PORT KEEP_ALIVE_S

Answers as `_app.py`. SIGUSR1: its accept queue is full and it accepts nothing more, so that the kernel drops
every further SYN, as of an overloaded host or behind a firewall; open connections are served on. SIGUSR2: it
accepts again. It imports the standard library alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep_alive: float) -> None:
    try:
        while True:
            async with asyncio.timeout(keep_alive):
                head = await reader.readuntil(b"\r\n\r\n")
            fields = {}
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                fields[name.strip().lower()] = value.strip().decode("latin-1")
            if length := int(fields.get(b"content-length", "0")):
                await reader.readexactly(length)
            words = fields.get(b"x-work", "0 200 20 none").split(" ")
            await asyncio.sleep(float(words[0]))
            match words[3]:
                case "exit":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "garbage":
                    writer.write(b"oops: no HTTP here\r\n\r\n")
                    break
            extra = b"".join(b"X-Debug-%d: %b\r\n" % (n, b"x" * 1000) for n in range(40))
            size = int(words[2])
            writer.write(
                b"HTTP/1.1 %b Status\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
                % (words[1].encode(), size, extra if words[3] == "headers" else b"", b"x" * size)
            )
            await writer.drain()
            if fields.get(b"connection", "").lower() == "close":
                break
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        with suppress(ConnectionError):
            writer.close()


class _Door:
    """The listening socket, open or shut."""

    def __init__(self, port: int, keep_alive: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._keep_alive = keep_alive
        self._port = port
        self._fillers: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._socket.listen(1024)
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                connection, _ = self._socket.accept()
                connection.setblocking(False)
                task = self._loop.create_task(self._open(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _open(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        await _serve(reader, writer, self._keep_alive)

    def shut(self) -> None:
        self._accept()
        self._loop.remove_reader(self._socket)
        self._socket.listen(0)
        for _ in range(4):  # one more than the queue takes waits for an answer to its SYN
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self._port))
            self._fillers.append(filler)

    def open(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        self._socket.listen(1024)
        self._loop.add_reader(self._socket, self._accept)


async def _main(port: int, keep_alive: float) -> None:
    door = _Door(port, keep_alive)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, door.shut)
    loop.add_signal_handler(signal.SIGUSR2, door.open)
    sys.stderr.write("attribution: listening\n")
    sys.stderr.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2])))
