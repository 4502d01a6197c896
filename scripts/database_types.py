"""supabase/types: the database's types for TypeScript and Python, made by Supabase's own CLI, without Docker.

python scripts/database_types.py            writes them
python scripts/database_types.py --check    exits 1 when they are not what sql/schema says
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from milepost.local import CHECKOUT
from milepost.local.postgres import Postgres
from milepost.local.schema import build
from milepost.local.stack import HERE

CLI = CHECKOUT / "node_modules/@supabase/cli-linux-x64/bin/supabase"
FILES = {
    "typescript": CHECKOUT / "supabase/types/milepost.ts",
    "python": CHECKOUT / "supabase/types/milepost.py",
}


def generate(url: str, language: str) -> str:
    """The types of the schema `milepost` in this database."""
    done = subprocess.run(
        [CLI, "gen", "types", "--lang", language, "--schema", "milepost", "--remote", url],
        cwd=CHECKOUT,
        env=os.environ | {"SUPABASE_TELEMETRY_DISABLED": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0:
        sys.exit(f"supabase gen types failed: {done.stderr}")
    # The CLI's own, but for what it leaves at the ends of lines.
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines()) + "\n"


def main(arguments: list[str]) -> int:
    """Writes or compares both files."""
    outdated = False
    with Postgres() as postgres:
        url = postgres.create_database("types")
        with psycopg.connect(url, autocommit=True) as connection:
            for file in ("supabase.sql", "realtime/schema.sql"):
                connection.execute((HERE / file).read_bytes())
            connection.execute(build().encode())
        for language, path in FILES.items():
            types = generate(url, language)
            if arguments == ["--check"] and (not path.exists() or path.read_text() != types):
                sys.stderr.write(
                    f"{path.relative_to(Path.cwd())} is not what sql/schema says. Run `make types`.\n"
                )
                outdated = True
            elif arguments == []:
                path.write_text(types)
    return int(outdated)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
