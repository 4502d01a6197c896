"""From one broadcast to all channels of its topic."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from milepost.local.realtime.limits import Limits, RateCounter
from milepost.local.realtime.misbehaviour import Mischief
from milepost.local.realtime.protocol import Frame


class Listener(Protocol):
    """A joined channel, as the hub sees one."""

    name: str
    private: bool
    has_presence: bool

    def __hash__(self) -> int: ...
    def send(self, frame: Frame) -> None: ...
    def shut_down(self, message: str) -> None: ...


class Hub:
    """The joined channels by topic. A private and a public topic of one name are two."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._topics: dict[tuple[str, bool], dict[Listener, None]] = {}
        self._limits = limits
        self.events = RateCounter(clock)
        self.mischief: Mischief | None = None

    def add(self, channel: Listener) -> None:
        self._topics.setdefault((channel.name, channel.private), {})[channel] = None

    def discard(self, channel: Listener) -> None:
        key = (channel.name, channel.private)
        channels = self._topics.get(key, {})
        channels.pop(channel, None)
        if not channels:
            self._topics.pop(key, None)
        if self.mischief is not None:
            self.mischief.forget(channel)

    @property
    def over_limit(self) -> bool:
        return self.events.per_s > self._limits.events_per_s

    def from_database(self, name: str, private: bool, frame: Frame) -> None:
        """Over the limit these are dropped, and nobody is told."""
        if not self.over_limit:
            self._deliver(name, private, frame, None)

    def from_client(self, name: str, private: bool, frame: Frame, but: Listener | None = None) -> None:
        """To all but one. Over the limit it closes the channels that would have received it."""
        if not self.over_limit:
            self._deliver(name, private, frame, but)
            return
        for channel in tuple(self._topics.get((name, private), ())):
            if channel is not but:
                channel.shut_down("Too many messages per second")

    def tell_presence(self, name: str, private: bool, frame: Frame) -> None:
        """To the channels that asked for presence."""
        channels = [channel for channel in self._topics.get((name, private), ()) if channel.has_presence]
        self.events.add(1 + len(channels))
        for channel in channels:
            channel.send(frame)

    def _deliver(self, name: str, private: bool, frame: Frame, but: Listener | None) -> None:
        channels = self._topics.get((name, private), {})
        self.events.add(1 + len(channels))
        for channel in tuple(channels):
            if channel is but:
                continue
            if self.mischief is None:
                channel.send(frame)
            else:
                self.mischief.deliver(channel, partial(channel.send, frame))
