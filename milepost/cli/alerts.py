"""Alerts: what is wrong, by which rules, and who is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.markup import escape

from milepost._client import Client
from milepost.cli import output
from milepost.cli.output import as_json, print_json, with_client

_UNITS = {"min": "minutes", "m": "minutes", "h": "hours", "d": "days"}
_COLOURS = {"critical": "red", "warning": "yellow"}


def _duration(value: str) -> timedelta:
    number = value.rstrip("minhd")
    unit = _UNITS.get(value[len(number) :])
    if unit is None or not number.isdigit():
        raise click.BadParameter(f"expected a duration such as 30m, 2h or 7d, found {value}.")
    return timedelta(**{unit: int(number)})


@click.group(invoke_without_command=True)
@click.option("--resolved", is_flag=True, help="Those that are over.")
@as_json
@click.pass_context
def alerts(ctx: click.Context, resolved: bool, json: bool) -> None:
    """List open alerts; manage their rules and channels."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(_list, resolved=resolved, json=json)


@click.command()
@with_client
def _list(client: Client, resolved: bool, json: bool) -> None:
    page = client.alerts("resolved" if resolved else "open")
    if json:
        return print_json(page)
    rows = output.table("since", "severity", "rule", "what")
    for alert in page["alerts"]:
        colour = _COLOURS.get(alert["severity"], "")
        since = output.moment(datetime.fromisoformat(alert["opened_at"]))
        muted = " (muted)" if alert["is_muted"] else ""
        rows.add_row(
            since, f"[{colour}]{alert['severity']}[/]", alert["rule"], escape(alert["message"] + muted)
        )
    output.console().print(rows if page["alerts"] else "There are no such alerts.")


@alerts.command()
@as_json
@with_client
def rules(client: Client, json: bool) -> None:
    """List the rules, and what is muted."""
    found = client.alert_rules()
    if json:
        return print_json(found)
    rows = output.table("rule", "", "more than", "window", "for", "what")
    for rule in found["rules"]:
        limit = "" if rule["threshold"] is None else f"{rule['threshold']:g} {rule['unit']}"
        window = "" if rule["window_s"] is None else output.duration(rule["window_s"] * 1000)
        wait = output.duration(rule["for_s"] * 1000) if rule["for_s"] else ""
        rows.add_row(
            rule["rule"], "on" if rule["is_on"] else "[dim]off[/]", limit, window, wait, rule["meaning"]
        )
    output.console().print(rows)
    for mute in found["mutes"]:
        scope = [f"{name} {mute[name]}" for name in ("rule", "kind", "job_id") if mute[name]]
        reason = f": {mute['reason']}" if mute["reason"] else ""
        what = ", ".join(scope) or "all alerts"
        output.console().print(f"Muted until {mute['until']}: {escape(what + reason)}")


@alerts.command("set")
@click.argument("rule")
@click.option("--on/--off", "is_on", default=True, help="Whether it is watched at all.")
@click.option("--threshold", type=float, help="More than this is wrong; in the rule's unit.")
@click.option("--window", type=_duration, help="How far back is looked, such as 30m.")
@click.option("--for", "wait", type=_duration, help="How long it has to be so, such as 5m.")
@as_json
@with_client
def set_rule(
    client: Client,
    rule: str,
    is_on: bool,
    threshold: float | None,
    window: timedelta | None,
    wait: timedelta | None,
    json: bool,
) -> None:
    """Turn a rule on or off, or change its figures. What is left out is as by default."""
    fields: dict[str, Any] = {"is_on": is_on, "threshold": threshold}
    fields["window_s"] = None if window is None else int(window.total_seconds())
    fields["for_s"] = None if wait is None else int(wait.total_seconds())
    changed = client.set_alert_rule(
        rule, {name: value for name, value in fields.items() if value is not None}
    )
    if json:
        return print_json(changed)
    output.console().print(f"{escape(rule)} is {'on' if changed['is_on'] else 'off'}.")


@alerts.command()
@as_json
@with_client
def channels(client: Client, json: bool) -> None:
    """List where alerts go, and how the last message went."""
    found = client.alert_channels()
    if json:
        return print_json(found)
    rows = output.table("channel id", "type", "name", "address", "quiet", "last delivered", "last error")
    for channel in found:
        quiet = (
            f"{channel['quiet_from'][:5]} to {channel['quiet_until'][:5]}" if channel["quiet_from"] else ""
        )
        cells = [channel["channel_id"], channel["type"], channel["name"], channel["address"], quiet]
        cells += [channel["last_delivered_at"] or "", channel["last_error"] or ""]
        rows.add_row(*map(escape, cells))
    output.console().print(rows if found else "There are no channels: nobody is told of alerts.")


@alerts.command("add")
@click.argument("type", type=click.Choice(["webhook", "slack", "email"]))
@click.argument("address")
@click.option("--name", help="What people call it.")
@click.option("--quiet-from", metavar="HH:MM", help="From then on nothing is sent ...")
@click.option("--quiet-until", metavar="HH:MM", help="... until then.")
@click.option("--time-zone", help="The clock of the quiet hours, such as Europe/Berlin; UTC without it.")
@as_json
@with_client
def add_channel(
    client: Client, type: str, address: str, name: str | None, json: bool, **quiet: str | None
) -> None:
    """Add a channel. A webhook's signing secret is shown this once."""
    fields = {"type": type, "address": address, "name": name or type} | quiet
    added = client.add_alert_channel({field: value for field, value in fields.items() if value is not None})
    if json:
        return print_json(added)
    output.console().print(f"{added['channel_id']} hears of what changes from now on.")
    if added["secret"]:
        output.console().print(f"Its secret, shown this once: {added['secret']}")


@alerts.command("remove")
@click.argument("channel_id")
@as_json
@with_client
def remove_channel(client: Client, channel_id: str, json: bool) -> None:
    """Remove a channel, with what it has not been sent yet."""
    removed = client.remove_alert_channel(channel_id)
    if json:
        return print_json(removed)
    output.console().print(f"{escape(channel_id)} is removed.")


@alerts.command()
@click.option("--rule", help="Alerts of this rule only.")
@click.option("--kind", help="Alerts of this kind only.")
@click.option("--job", "job_id", help="Alerts of this job only.")
@click.option(
    "--for", "wait", type=_duration, default="1h", show_default=True, help="For how long; 0m ends it."
)
@click.option("--reason", help="Why, for the people who look at it.")
@as_json
@with_client
def mute(client: Client, wait: timedelta, json: bool, **scope: str | None) -> None:
    """Tell nobody of such alerts for a while."""
    fields = {name: value for name, value in scope.items() if value is not None}
    muted = client.mute_alerts(
        fields | {"until": (datetime.now(UTC) + wait).isoformat(timespec="milliseconds")}
    )
    if json:
        return print_json(muted)
    until = muted["until"]
    output.console().print(f"Muted until {until}." if until else "Not muted any more.")
