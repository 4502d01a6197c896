"""Values as the contract wants them, and warnings that are said once.

Nothing here raises because of what a loop met.
"""

import json
import logging
import re
from datetime import datetime
from typing import Any

MAX_NAME = 200
MAX_KEY = 1_000
MAX_TEXT = 2_000
MAX_ERROR = 8_000
MAX_JSON_BYTES = 16 * 1024

log = logging.getLogger("milepost")
_warned: set[str] = set()
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def warn_once(topic: str, message: str) -> None:
    """Logs a warning, once for each topic and process."""
    if topic not in _warned:
        _warned.add(topic)
        log.warning("%s", message)


def text(value: object, limit: int = MAX_TEXT) -> str:
    """The text, shortened to the limit, without what a database cannot store."""
    return str(value)[:limit].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def name(value: object, limit: int = MAX_NAME) -> str:
    """A name without control characters (file names may have them); of a long one, beginning and end."""
    whole = _CONTROL.sub("\ufffd", str(value)).encode("utf-8", "replace").decode()
    if len(whole) <= limit:
        return whole
    head = limit // 2
    return f"{whole[:head]}…{whole[head + 1 - limit :]}"


def moment(value: datetime) -> str:
    """An RFC 3339 time; a datetime without a zone is local time."""
    return value.astimezone().isoformat(timespec="milliseconds")


def dumps(value: Any) -> str:  # noqa: ANN401
    """Strict JSON. Raises TypeError or ValueError for what is none."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
