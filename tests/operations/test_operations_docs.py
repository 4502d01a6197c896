"""Every command and snippet of docs/operations.md does what it says."""

import json
import re
import time
from typing import Any

import psycopg
import pytest
from alerting import Alerting
from documents import ROOT, named, run, settings
from receivers import receiver
from running_stack import RunningStack, Tenant

from functions import deliveries

PAGE = "docs/operations.md"
TEXT = (ROOT / PAGE).read_text()
SNIPPETS = {name: block.code for name, block in named(PAGE).items()}


@pytest.mark.parametrize("name", ["health", "alerts"])
def test_the_commands_run(stack: RunningStack, tenant: Tenant, name: str) -> None:
    ran = run(named(PAGE)[name], settings(stack, tenant))
    assert ran.returncode == 0, ran.stderr


def test_the_rules_and_their_figures_are_those_of_the_database(stack: RunningStack, tenant: Tenant) -> None:
    documented = [
        (rule, said.strip()) for rule, said in re.findall(r"^\| `(\w+)` \| .+ \|(.*)\|$", TEXT, re.MULTILINE)
    ]
    defaults = {rule["rule"]: rule for rule in stack.sql("select * from milepost_private.alert_defaults()")}
    assert [rule for rule, _ in documented] == list(defaults)
    seconds = {"min": 60, "h": 3600}
    for rule, said in documented:
        figures = defaults[rule]
        if figures["threshold"] is not None:
            assert said.startswith(f"{figures['threshold']:g}"), rule
        if waits := re.search(r"for (\d+) (min|h)", said):
            assert int(waits[1]) * seconds[waits[2]] == figures["for_s"], rule
        else:
            assert figures["for_s"] == 0, rule
        if window := re.search(r"in (\d+) (min|h)", said):
            assert int(window[1]) * seconds[window[2]] == figures["window_s"], rule


PG_CRON_PG_NET_AND_VAULT = """
create schema cron; create schema net; create schema vault;
create table cron.job (jobname text, schedule text, command text);
create function cron.schedule(job_name text, schedule text, command text) returns void language sql as
  'insert into cron.job values (job_name, schedule, command)';
create table net.requests (url text, headers jsonb, timeout_milliseconds int);
create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}',
  headers jsonb default '{}', timeout_milliseconds int default 5000) returns bigint language sql as
  'insert into net.requests values (url, headers, timeout_milliseconds) returning 1::bigint';
create view vault.decrypted_secrets as select 'milepost_cron_secret'::text as name, 's3cret'::text as decrypted_secret;
"""


def test_what_is_scheduled_calls_cron_with_the_secret(stack: RunningStack) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(PG_CRON_PG_NET_AND_VAULT.encode())
        connection.execute(SNIPPETS["schedule"].encode())
        found = connection.execute("select schedule, command from cron.job").fetchone()
        assert found is not None
        assert found[0] == "1 minute"
        connection.execute(found[1].encode())
        sent = connection.execute("select url, headers from net.requests").fetchall()
        assert sent == [("https://milepost.example.org/cron/alerts", {"Authorization": "Bearer s3cret"})]
        connection.rollback()


def sent_message(monkeypatch: pytest.MonkeyPatch, secret: str) -> tuple[dict[str, str], bytes]:
    """A request as a webhook receives it."""
    monkeypatch.setenv("MILEPOST_ALLOW_PRIVATE_WEBHOOKS", "1")
    body = json.loads(SNIPPETS["message"])
    with receiver() as server:
        deliveries.deliver(
            {
                "delivery_id": "6b1c", "channel": "webhook", "address": server.url, "secret": secret,
                "body": body,
            }
        )  # fmt: skip
        (got,) = server.received
    assert json.loads(got.body) == body
    return got.headers, got.body


def test_the_snippet_tells_a_true_request_from_a_false_one(
    stack: RunningStack, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(stack.database_url) as connection:
        alerting = Alerting(connection, tenant)
        with alerting.acting(tenant.owner):
            hook = {"type": "webhook", "name": "hook", "address": "https://hook.example"}
            secret = alerting.call("add_alert_channel", **hook)["secret"]
        connection.rollback()
    headers, body = sent_message(monkeypatch, secret)
    snippet: dict[str, Any] = {}
    exec(SNIPPETS["verify"], snippet)  # noqa: S102 - the snippet is what is tested
    verify = snippet["verify"]
    assert not verify("whsec_" + "A" * 44, headers, body), "signed with another secret"
    assert not verify(secret, headers, body + b" "), "changed"
    for header, changed in (("webhook-id", "6b1d"), ("webhook-timestamp", str(int(time.time()) - 1))):
        assert not verify(secret, headers | {header: changed}, body), header
    real_time = time.time
    monkeypatch.setattr(time, "time", lambda: real_time() + 301)
    assert not verify(secret, headers, body), "old"
    monkeypatch.setattr(time, "time", real_time)
    assert verify(secret, headers, body)
    assert not verify(secret, headers, body), "a repetition"


def test_the_example_has_the_fields_that_a_message_has(stack: RunningStack, tenant: Tenant) -> None:
    with psycopg.connect(stack.database_url) as connection:
        alerting = Alerting(connection, tenant)
        alerting.channel()
        alerting.run("import", 0, "csv", "failed")
        (delivery,) = alerting.send(90)
        connection.rollback()
    example = json.loads(SNIPPETS["message"])
    assert example.keys() == delivery["body"].keys()
    assert example["data"].keys() == delivery["body"]["data"].keys()
    assert example["data"]["alerts"][0].keys() == delivery["body"]["data"]["alerts"][0].keys()
