"""What operators read: one JSON line on stderr for each incident, and the id that ties it to an answer."""

import json
import re
import sys
import traceback
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def begin(given: str | None) -> str:
    """Starts the request's correlation id: the caller's own if that is a uuid, else a new one."""
    chosen = given.lower() if given and _UUID.fullmatch(given) else str(uuid.uuid4())
    correlation_id.set(chosen)
    return chosen


def record(severity: str, event: str, **facts: object) -> None:
    """Writes one line. `facts` never hold keys, tokens or bodies."""
    line = {
        "severity": severity,
        "event": event,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "correlation_id": correlation_id.get(),
        **facts,
    }
    sys.stderr.write(json.dumps(line, default=str) + "\n")
    sys.stderr.flush()


def traceback_of(error: BaseException) -> str:
    """Where an unexpected error came from."""
    return "".join(traceback.format_exception(error))
