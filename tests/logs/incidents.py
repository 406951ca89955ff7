"""Incidents with many requests on two targets, in virtual time, as our own balancer logs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.machines.playbook import GET, OK, OTHER, START_US, TARGET, Playbook

from keepalign.machines.balancer import Balancer, HealthCheckConfig
from keepalign.machines.commands import Command, ConnectTarget, TargetAddress
from keepalign.units import Duration, Instant


def name_of(address: TargetAddress) -> str:
    """As the log has it."""
    return f"{address.host}:{address.port}"


A: Final = name_of(TARGET)
B: Final = name_of(OTHER)


class Incident(Playbook):
    """Many clients, one request each; requests that are held stay open until something ends them."""

    def __init__(self, *, delay_s: float = 300, lag_s: float = 0) -> None:
        self.target_of: dict[int, str] = {}
        """Target connections and where they go."""
        self.held: list[int] = []
        """Target connections with a request outstanding."""
        self._client = 0
        super().__init__(
            targets=2,
            deregistration_delay=Duration.of(s=delay_s),
            deregistration_lag=Duration.of(s=lag_s),
            health_check=HealthCheckConfig(interval=Duration.of(s=100_000)),
        )

    def do(self, call: Callable[[Balancer, Instant], None]) -> list[Command]:
        commands = super().do(call)
        for command in commands:
            if isinstance(command, ConnectTarget):
                self.target_of[command.connection] = name_of(command.target)
        return commands

    @property
    def now_ms(self) -> float:
        """Milliseconds since the start."""
        return (self.now.us - START_US) / 1000

    def start(self) -> tuple[int, bool]:
        """One request of a new client: its target connection, and whether that is still to be opened."""
        self._client += 1
        self.connect(self._client)
        before = {connection: len(sent) for connection, sent in self.to_target.items()}
        self.send(GET, self._client)
        for connection, sent in self.to_target.items():
            if connection not in before:
                return connection, True
            if len(sent) > before[connection]:
                return connection, False
        raise AssertionError("the request went nowhere")

    def hold(self, count: int = 1) -> None:
        """Requests that go on."""
        for _ in range(count):
            connection, new = self.start()
            if new:
                self.accept(connection)
            self.held.append(connection)

    def answer(self, count: int = 1) -> None:
        """Requests that are answered."""
        for _ in range(count):
            connection, new = self.start()
            if new:
                self.accept(connection)
            self.reply(OK, connection)

    def held_by(self, target: str) -> Iterator[int]:
        """Take the requests that `target` holds."""
        mine = [connection for connection in self.held if self.target_of[connection] == target]
        self.held = [connection for connection in self.held if connection not in mine]
        yield from mine


def drained(delay_s: float, *, apart_s: float) -> Incident:
    """A target with four requests running, begun so far apart, is taken out; the other goes on."""
    play = Incident(delay_s=delay_s)
    for n in range(4):
        play.advance_to(2000 + n * apart_s * 1000)
        play.hold(2)
        play.answer(6)
    play.do(lambda b, now: b.deregister(TARGET, now))
    began = play.now_ms
    for second in range(1, int(delay_s) + 200):
        play.advance_to(began + second * 1000)
        play.answer()
        if second == 30:
            for connection in play.held_by(B):
                play.reply(OK, connection)
    return play


def ended(*, comes_back: bool, deregistered: bool) -> Incident:
    """The process of a target ends with six requests running, and takes no connections for a while."""
    play = Incident(delay_s=50, lag_s=10)
    for n in range(6):
        play.advance_to(2000 + n * 300)
        play.hold(2)
        play.answer(6)
    if deregistered:
        play.do(lambda b, now: b.deregister(TARGET, now))
    for connection in (*play.held_by(A), *(n for n in play.open_targets if play.target_of[n] == A)):
        if connection in play.open_targets:
            play.target_reset(connection)
    for second in range(1, 300):
        play.advance_to(4000 + second * 1000)
        connection, new = play.start()
        if new and play.target_of[connection] == A and (second < 8 or not comes_back):
            play.refuse(connection)
            continue
        if new:
            play.accept(connection)
        play.reply(OK, connection)
    for connection in play.held_by(B):
        play.reply(OK, connection)
    return play
