"""GET /v1/jobs/{job}/badge.svg: a job as a small image: its name, and how far or how it ended."""

import hashlib
import unicodedata
from typing import Any
from xml.sax.saxutils import escape

from pydantic_core import from_json
from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database, shares
from functions.answers import kept

# Image proxies (GitHub's, say) ask again after this long.
_MAX_AGE_S = 30
_HEIGHT, _PADDING, _NAME_CHARACTERS = 20, 6, 40
_LABEL = "#3f444d"
_COLOURS = {
    "running": "#2459c5",
    "completed": "#1b7340",
    "failed": "#b3262e",
    "stalled": "#b3262e",
    "lost": "#b3262e",
    "paused": "#7d5300",
    "pausing": "#7d5300",
    "canceling": "#7d5300",
    "retrying": "#7d5300",
    "late": "#7d5300",
}
_IDLE = "#5c616b"

# Widths in tenths of a pixel at 11 px, measured in Chromium with DejaVu Sans, whose widths are Verdana's.
_WIDTHS = {
    character: width
    for width, characters in {
        30: "'", 31: "ijl", 32: "IJ", 35: " ,.·", 37: "/:;\\|", 39: "f", 40: "-", 43: "()[]t", 44: "!",
        45: "r", 51: '"',
        55: "*_`", 57: "s", 58: "?z", 60: "cç", 61: "L", 63: "F", 64: "k", 65: "vxy", 66: "P",
        67: "TYaoöäà", 68: "eéè", 69: "ß", 70: "$0123456789ESbdghnpqu{}üñ€", 72: "K", 75: "ABVXZÄ", 76: "R",
        77: "C", 81: "UÜ", 82: "N", 83: "H", 85: "DG", 86: "&", 87: "OQÖ", 90: "w", 92: "#+<=>^~±", 95: "M",
        105: "%", 107: "m", 109: "W", 110: "@…",
    }.items()
    for character in characters
}  # fmt: skip


def one(request: Request, job: str) -> Response:
    """The badge, for a key, a user's token, or the token of a share link of this very job."""
    name = addresses.job(job)
    token = addresses.query(addresses.Badge, request).get("share")
    if token is None:
        raw = database.as_caller(callers.identify(request), "get_job_progress", {"job_id": name})
    else:
        raw = shares.read(token, name)
    image = draw(from_json(raw)).encode()
    response = Response(image, content_type="image/svg+xml; charset=utf-8")
    # It is text only; should a name ever get around that, nothing of it may run.
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    # In one browser, one person's answer is not the next one's.
    response.headers["Vary"] = "Authorization"
    scope = "private" if token is None else "public"
    return kept(
        request,
        response,
        etag=hashlib.sha256(image).hexdigest()[:24],
        cache_control=f"{scope}, max-age={_MAX_AGE_S}",
    )


def draw(job: dict[str, Any]) -> str:
    """The image of a job as the API shows it."""
    name = _printable(job["name"])
    name = name if len(name) <= _NAME_CHARACTERS else name[: _NAME_CHARACTERS - 1].rstrip() + "…"
    said, tone = status(job)
    left, right = (round(_width(text) + 2 * _PADDING, 1) for text in (name, said))
    width = f"{left + right:g}"
    done = right * (job["percent_complete"] or 0) / 100
    title = escape(f"{name}: {said}", {'"': "&quot;"})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" '
        f'role="img" aria-label="{title}"><title>{title}</title>'
        # Inlined in a page beside others, its id must not be another size's.
        f'<clipPath id="r{width}"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r{width})"><rect width="{left:g}" height="{_HEIGHT}" fill="{_LABEL}"/>'
        f'<rect x="{left:g}" width="{right:g}" height="{_HEIGHT}" fill="{_COLOURS.get(tone, _IDLE)}"/>'
        f'<rect x="{left:g}" y="{_HEIGHT - 2}" width="{done:.4g}" height="2" fill="#fff" opacity=".6"/></g>'
        '<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">'
        f"{_text(name, _PADDING)}{_text(said, left + _PADDING)}</g></svg>"
    )


def status(job: dict[str, Any]) -> tuple[str, str]:
    """What the right side says, and the word that its colour goes by."""
    state, percent, liveness = job["state"], job["percent_complete"], job["liveness"]
    # Rounded down: 100 % is said only of 100 %.
    far = None if percent is None else f"{int(percent)}%"
    if state in ("completed", "canceled", "failed"):
        return (state if percent is None or percent >= 100 else f"{state} at {far}"), state
    tone = liveness if liveness in ("stalled", "lost", "late") else state
    words = [] if state in ("running", "completing") and far else [state]
    words += [far] if far else []
    if tone in ("stalled", "lost"):
        words.append(tone)
    elif job["rate_limited"]:
        words.append("rate limited")
    elif job["eta_ms"] is not None:
        words.append(f"{_about(job['eta_ms'])} left")
    return " · ".join(words), "running" if tone == "completing" else tone


def _about(ms: float) -> str:
    s = max(1, round(ms / 1000))
    if s < 120:
        return f"{s} s"
    if s < 7_200:
        return f"{s // 60} min"
    amount, unit = (s / 3_600, "h") if s < 172_800 else (s / 86_400, "d")
    return f"{amount:.1f} {unit}" if amount < 10 else f"{int(amount)} {unit}"


def _printable(text: str) -> str:
    """Without what XML cannot hold and what would turn the line around."""
    return (
        "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"))
        or "job"
    )


def _width(text: str) -> float:
    """In pixels."""
    return sum(_WIDTHS.get(c) or _width_of_other(c) for c in text) / 10


def _width_of_other(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 110 if unicodedata.east_asian_width(character) in "WF" else 75


def _text(text: str, x: float) -> str:
    # Stretched to its box, so that another font does not spill over.
    return f'<text x="{x:g}" y="14" textLength="{_width(text):g}">{escape(text)}</text>'
