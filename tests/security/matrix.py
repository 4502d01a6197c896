"""docs/roles.md: who gets what at each door. It is the expectation that the tests compare with."""

from collections.abc import Mapping
from pathlib import Path

Cells = dict[str, str]
Table = dict[str, Cells]

DOCUMENT = Path(__file__).parents[2] / "docs/roles.md"


def tables() -> dict[str, Table]:
    """Each section's table: door, actor, outcome."""
    found: dict[str, Table] = {}
    for section in DOCUMENT.read_text().split("\n## ")[1:]:
        title, *lines = section.splitlines()
        rows = [
            [cell.strip(" `") for cell in line.strip("|").split("|")]
            for line in lines
            if line.startswith("|")
        ]
        if rows and rows[0][0] == "door":
            _, *actors = rows[0]
            names = [row[0] for row in rows[2:]]
            assert len(names) == len(set(names)), f"{title} has a door twice"
            found[title] = {row[0]: dict(zip(actors, row[1:], strict=True)) for row in rows[2:]}
    return found


def differences(expected: Table, found: Mapping[str, Cells]) -> list[str]:
    """What the document says otherwise than what is, in words."""
    doors = [*expected, *(door for door in found if door not in expected)]
    words = []
    for door in doors:
        if door not in found:
            words.append(f"{door}: is in docs/roles.md, and there is no such door")
        elif door not in expected:
            words.append(f"{door}: is not in docs/roles.md; add: {row(door, found[door])}")
        else:
            words += [
                f"{door}, {actor}: docs/roles.md says {expected[door].get(actor)}, and it is {is_}"
                for actor, is_ in found[door].items()
                if expected[door].get(actor) != is_
            ]
            words += [
                f"{door}: nobody asks as {actor}" for actor in expected[door] if actor not in found[door]
            ]
    return words


def row(door: str, cells: Mapping[str, str]) -> str:
    return f"| `{door}` | " + " | ".join(cells.values()) + " |"
