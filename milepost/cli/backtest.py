"""`milepost backtest`: the finish times of past jobs, judged."""

import click

from milepost._admin import Admin
from milepost.cli import output
from milepost.cli.admin import with_admin
from milepost.cli.output import as_json, print_json


@click.command()
@click.option("--kind", help="Jobs of this kind only.")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="The newest completed jobs, so many.",
)
@as_json
@with_admin
def backtest(admin: Admin, kind: str | None, limit: int, json: bool) -> None:
    """Replay completed jobs and say how near their finish times came.

    Judges the estimator of this database beside the elapsed average and tqdm's rule, on what was known at
    each tenth of each job's progress. An error of 0.10 is about 10 % off; the bias says whether too late
    (above 0) or too early. Uses the functions' environment: SUPABASE_URL and SUPABASE_SECRET_KEY.
    """
    found = admin.backtest(kind, limit)
    if json:
        return print_json(found)
    console = output.console()
    if not found["jobs"]:
        console.print("There is no completed job to replay.")
        return
    rows = output.table("rule", "answered", "median error", "p90 error", "bias", "coverage")
    for rule in found["rules"]:
        errors = (_number(rule[name]) for name in ("median_error", "p90_error", "bias"))
        coverage = "" if rule["coverage"] is None else f"{100 * rule['coverage']:.0f} %"
        answered = f"{rule['answered']} of {found['questions']}"
        rows.add_row(rule["rule"].replace("_", " "), answered, *errors, coverage)
    console.print(rows)
    console.print(
        f"[dim]{found['jobs']} jobs; errors on {found['compared']} questions that every rule answered.[/]"
    )
    if found["left_out"]:
        why = "without a total, counted by stages, or their history is gone"
        console.print(f"[dim]{found['left_out']} left out: {why}.[/]")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
