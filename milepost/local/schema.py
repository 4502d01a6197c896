"""sql/complete-schema.sql and the first migration, built from sql/schema.

python -m milepost.local.schema            writes both
python -m milepost.local.schema --check    exits 1 when one of them is not what sql/schema says
"""

import sys
from pathlib import Path

from milepost.local import CHECKOUT
from milepost.local.gentle import AFTER, BEFORE, gently

SOURCE = CHECKOUT / "sql/schema"
BUILT = (
    CHECKOUT / "sql/complete-schema.sql",
    CHECKOUT / "supabase/migrations/20261122000000_initial.sql",
)
HEADER = """\
-- Milepost's database, whole. Built from sql/schema by `make sql`: change it there.
-- Safe to paste into the SQL editor, and to run again.
"""


def source() -> str:
    """The files of sql/schema in the order of their names, each under a line that names it."""
    files = sorted(SOURCE.glob("*.sql"), key=lambda file: file.name)
    return "".join(f"\n-- ==== sql/schema/{file.name}\n\n{file.read_text().strip()}\n" for file in files)


def build() -> str:
    """sql/schema as it is applied: what is there already is left alone, and nothing waits long for a lock."""
    return HEADER + BEFORE + gently(source()) + AFTER


def stale() -> list[Path]:
    """The built files that differ from what sql/schema says now."""
    expected = build()
    return [file for file in BUILT if not file.exists() or file.read_text() != expected]


def main(arguments: list[str]) -> int:
    outdated = stale()
    if arguments == ["--check"]:
        for file in outdated:
            sys.stderr.write(f"{file.relative_to(CHECKOUT)} is not what sql/schema says. Run `make sql`.\n")
        return 1 if outdated else 0
    if arguments:
        sys.stderr.write(f"Expected no argument or --check, found {' '.join(arguments)}.\n")
        return 2
    for file in outdated:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(build())
        sys.stdout.write(f"wrote {file.relative_to(CHECKOUT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
