"""`milepost doctor`: what is wrong with an installation, and what to do."""

import sys

import click
from rich.markup import escape

from milepost._doctor import examine
from milepost.cli import output
from milepost.cli.output import as_json, print_json

_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red", "skipped": "dim"}


@click.command()
@as_json
def doctor(json: bool) -> None:
    """Look at an installation: settings, database, schedule, Realtime, functions; and say what to do.

    Takes the functions' environment (SUPABASE_URL, its keys, CRON_SECRET) and a worker's (MILEPOST_URL,
    MILEPOST_KEY); what is not given is skipped. Exit code 1 where something is wrong.
    """
    checks = []
    for check in examine():
        checks.append(check)
        if not json:
            found = output.console()
            mark = f"[{_COLOURS[check.verdict]}]{check.verdict}[/]"
            found.print(f"{mark} [bold]{escape(check.name)}[/]: {escape(check.found)}")
            if check.fix:
                found.print(f"    {escape(check.fix)}")
    if json:
        print_json([check._asdict() for check in checks])
    if any(check.verdict == "wrong" for check in checks):
        sys.exit(output.REFUSED)
