"""Who is present on a topic, as the clients of it say themselves."""

import secrets
from dataclasses import dataclass, field
from typing import Any

Meta = dict[str, Any]
Key = tuple[str, bool]


@dataclass
class _Topic:
    """The metas by presence key, each by the channel that tracks it."""

    tracked: dict[object, tuple[str, Meta]] = field(default_factory=dict)


def _grouped(tracked: list[tuple[str, Meta]]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for key, meta in tracked:
        state.setdefault(key, {"metas": []})["metas"].append(meta)
    return state


class Presence:
    """The presences of all topics. Changes are returned as the payload of `presence_diff`."""

    def __init__(self) -> None:
        self._topics: dict[Key, _Topic] = {}

    def state(self, topic: Key) -> dict[str, Any]:
        """The payload of `presence_state`."""
        found = self._topics.get(topic)
        return _grouped(list(found.tracked.values())) if found else {}

    def track(self, topic: Key, who: object, key: str, meta: Meta) -> dict[str, Any]:
        tracked = self._topics.setdefault(topic, _Topic()).tracked
        before = tracked.get(who)
        ref: Meta = {"phx_ref": secrets.token_urlsafe(12)}
        if before is not None:
            ref["phx_ref_prev"] = before[1]["phx_ref"]
        tracked[who] = (key, ref | meta)
        return {"joins": _grouped([tracked[who]]), "leaves": _grouped([before] if before else [])}

    def untrack(self, topic: Key, who: object) -> dict[str, Any] | None:
        """None where the channel was not tracked."""
        found = self._topics.get(topic)
        gone = found.tracked.pop(who, None) if found else None
        if found is not None and not found.tracked:
            del self._topics[topic]
        return {"joins": {}, "leaves": _grouped([gone])} if gone else None
