"""The version, and which versions of the SDK, the functions and the database fit together.

There is one number, semantic, for all of them. Who asks works with who answers of the same major version that
is as new or newer in its minor one; before 1.0 a new minor version may change anything, so it has to be the
same. So an upgrade goes from the bottom up: the database, then the functions, then the workers.
"""

from typing import Literal

from milepost._words import warn_once

VERSION = "0.1.0"
HEADER = "Milepost-Version"


def misfit(asks: str, answers: str) -> Literal["older", "newer"] | None:
    """What is wrong with who answers, as seen from who asks; None where both fit, or one is no version."""
    try:
        (major, minor), (its_major, its_minor) = _series(asks), _series(answers)
    except ValueError:
        return None
    if its_major != major:
        return "newer" if its_major > major else "older"
    if its_minor < minor:
        return "older"
    return "newer" if major == 0 and its_minor > minor else None


def heard(answered: str | None) -> None:
    """Warns once where the server's version, as its answers say it, does not fit this package's."""
    if answered is None or (wrong := misfit(VERSION, answered)) is None:
        return
    major, minor = _series(answered)
    warn_once(
        "version",
        f"Milepost: this is milepost {VERSION}, and the server is {answered}, which is {wrong}: some calls "
        f"may be refused. Install the package that fits it: pip install 'milepost=={major}.{minor}.*'"
        + (", or upgrade the server." if wrong == "older" else "."),
    )


def _series(version: str) -> tuple[int, int]:
    major, minor, *_ = (*version.split("."), "")
    return int(major), int(minor)
