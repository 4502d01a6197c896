"""Who is present on a topic, as its clients say themselves."""

import secrets
from typing import Any

Meta = dict[str, Any]
Topic = tuple[str, bool]


class Presence:
    """The presences of all topics; a topic is its name and whether it is private.

    What changes is returned as the payload of `presence_diff`.
    """

    def __init__(self) -> None:
        self._tracked: dict[Topic, dict[object, tuple[str, Meta]]] = {}

    def state(self, topic: Topic) -> dict[str, Any]:
        """The payload of `presence_state`."""
        return _by_key(list(self._tracked.get(topic, {}).values()))

    def track(self, topic: Topic, who: object, key: str, meta: Meta) -> dict[str, Any]:
        """`who` is present with this meta, in place of what it said before."""
        tracked = self._tracked.setdefault(topic, {})
        before = tracked.get(who)
        reference: Meta = {"phx_ref": secrets.token_urlsafe(12)}
        if before is not None:
            reference["phx_ref_prev"] = before[1]["phx_ref"]
        tracked[who] = (key, reference | meta)
        return {"joins": _by_key([tracked[who]]), "leaves": _by_key([before] if before else [])}

    def untrack(self, topic: Topic, who: object) -> dict[str, Any] | None:
        """None where `who` was not present."""
        tracked = self._tracked.get(topic, {})
        gone = tracked.pop(who, None)
        if not tracked:
            self._tracked.pop(topic, None)
        return {"joins": {}, "leaves": _by_key([gone])} if gone else None


def _by_key(tracked: list[tuple[str, Meta]]) -> dict[str, Any]:
    presences: dict[str, Any] = {}
    for key, meta in tracked:
        presences.setdefault(key, {"metas": []})["metas"].append(meta)
    return presences
