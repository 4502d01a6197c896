"""Links by which somebody without an account may follow one job."""

import re

import click
from rich.markup import escape

from milepost._client import Client
from milepost._job import settings
from milepost.cli import output
from milepost.cli.output import as_json, print_json, with_client

_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400}


def _life_s(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """The seconds in a number with its unit."""
    given = re.fullmatch(r"(\d{1,6})([mhd])", value.strip())
    seconds = int(given[1]) * _UNITS_S[given[2]] if given else 0
    if not 60 <= seconds <= 366 * 86_400:
        raise click.BadParameter(
            f"expected 1m to 366d, for example 30m, 12h or 7d; found {value!r}.", ctx, param
        )
    return seconds


@click.command()
@click.argument("job", required=False)
@click.option(
    "--for",
    "life_s",
    callback=_life_s,
    default="7d",
    show_default=True,
    help="How long it holds: 30m, 12h, 7d.",
)
@click.option("--list", "listed", is_flag=True, help="List the job's links that hold instead.")
@click.option("--revoke", metavar="SHARE_ID", help="End this link instead; --list tells its id.")
@as_json
@with_client
def share(client: Client, job: str | None, life_s: int, listed: bool, revoke: str | None, json: bool) -> None:
    """Print a link by which anybody may follow JOB, without an account.

    It shows how far the job is and when it will be done; no data, no workers, no error texts.
    Needs an operator key.
    """
    if revoke is not None:
        if job or listed:
            raise click.UsageError("--revoke takes the id of a link, and nothing else.")
        ended = client.revoke_share(revoke)
        if json:
            return print_json(ended)
        return output.console().print(f"{escape(revoke)} is revoked.")
    if job is None:
        raise click.UsageError("Expected a JOB to share, or --revoke SHARE_ID.")
    if listed:
        return _list(client, job, json)
    made = client.share(job, life_s)
    link = f"{settings(None, None)[0].rstrip('/')}/shared.html#{made.token}"
    if json:
        return print_json(made.model_dump(mode="json") | {"link": link})
    # The link alone on stdout, for pipes; what is said about it beside it.
    click.echo(link)
    click.echo(
        f"Holds until {output.moment(made.expires_at)}; end it with: milepost share --revoke {made.share_id}",
        err=True,
    )


def _list(client: Client, job: str, json: bool) -> None:
    found = client.shares(job)
    if json:
        return print_json(found)
    rows = output.table("share id", "made", "by", "holds until")
    for link in found.shares:
        made, until = output.moment(link.created_at), output.moment(link.expires_at)
        rows.add_row(link.share_id, made, escape(link.created_by), until)
    output.console().print(rows if found.shares else "There are no links to this job.")
