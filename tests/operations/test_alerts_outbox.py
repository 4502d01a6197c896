"""What channels are told, once, in order, and however often sending fails."""

from collections.abc import Iterator

import psycopg
import pytest
from alerting import DAY, HOUR, Alerting, Refused, moment, result, told
from psycopg.types.json import Jsonb
from running_stack import RunningStack, Tenant


@pytest.fixture
def alerting(stack: RunningStack, tenant: Tenant) -> Iterator[Alerting]:
    with psycopg.connect(stack.database_url) as connection:
        yield Alerting(connection, tenant)
        connection.rollback()


def test_a_channel_is_told_of_the_alert_and_of_its_recovery(alerting: Alerting) -> None:
    channel = alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    (delivery,) = alerting.send(90)
    assert (delivery["channel_id"], delivery["attempt"], delivery["channel"]) == (channel, 1, "webhook")
    assert told(delivery) == [("job_failed", "open")]
    data = delivery["body"]["data"]
    assert (data["open"], data["resolved"], data["left_out"]) == (1, 0, 0)
    assert alerting.send(91, [result(delivery)]) == []
    alerting.retry("import", 100)
    (delivery,) = alerting.send(150)
    assert told(delivery) == [("job_failed", "resolved")]
    assert alerting.send(151, [result(delivery)]) == []
    assert alerting.send(200) == []


def test_a_hundred_alerts_are_one_message(alerting: Alerting) -> None:
    alerting.channel()
    for n in range(60):
        alerting.run(f"run-{n}", 0, f"kind-{n}", "failed")
    (delivery,) = alerting.send(90)
    data = delivery["body"]["data"]
    assert (len(data["alerts"]), data["open"], data["left_out"]) == (50, 60, 10)


def test_an_alert_without_a_channel_is_opened_all_the_same(alerting: Alerting) -> None:
    alerting.run("import", 0, "csv", "failed")
    assert alerting.send(90) == []
    assert len(alerting.open()) == 1


def test_two_callers_are_never_handed_the_same_message(alerting: Alerting) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    assert len(alerting.send(90)) == 1
    assert alerting.send(91) == []
    assert alerting.send(200) == []


def test_what_a_sender_that_died_held_goes_out_again_and_its_late_word_is_not_heard(
    alerting: Alerting,
) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    (first,) = alerting.send(90)
    (second,) = alerting.send(90 + 121)
    assert (second["delivery_id"], second["attempt"]) == (first["delivery_id"], 2)
    assert second["lease_id"] != first["lease_id"]
    alerting.send(215, [result(first)])
    assert (
        alerting.rows("select 1 from milepost_private.alert_deliveries where delivered_at is not null") == []
    )
    alerting.send(216, [result(second)])
    assert len(alerting.rows("select 1 from milepost_private.alert_deliveries where delivered_at is not null")) == 1  # fmt: skip


def test_a_failed_message_is_tried_again_ever_more_rarely_and_given_up_in_the_end(alerting: Alerting) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    now, waits = 90.0, []
    (delivery,) = alerting.send(now)
    for _ in range(11):
        assert alerting.send(now, [result(delivery, "it answered 500")]) == []
        wait = 15
        while not (again := alerting.send(now + wait, [])):
            wait *= 2
        waits.append(wait)
        (delivery,), now = again, now + wait
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3840, 3840, 3840, 3840]
    assert delivery["attempt"] == 12
    assert alerting.send(now, [result(delivery, "it answered 500")]) == []
    assert alerting.send(now + DAY, []) == []
    (row,) = alerting.rows(
        "select gave_up_at, last_error from milepost_private.alert_deliveries where delivery_id = %s",
        delivery["delivery_id"],
    )
    assert (row["gave_up_at"], row["last_error"]) == (moment(now), "it answered 500")


def test_a_sender_that_dies_every_time_is_given_up_too(alerting: Alerting) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    handed = [alerting.send(90 + 121 * n) for n in range(15)]
    assert [len(deliveries) for deliveries in handed] == [1] * 12 + [0] * 3


def test_what_changes_while_a_message_fails_waits_for_the_next_one(alerting: Alerting) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    (delivery,) = alerting.send(90)
    alerting.send(91, [result(delivery, "refused")])
    alerting.retry("import", 95)
    alerting.run("export", 30, "csv", "failed")
    assert alerting.send(100) == [], "the first one waits for its next attempt"
    (again,) = alerting.send(125)
    assert told(again) == [("job_failed", "open")]
    alerting.send(126, [result(again)])
    (news,) = alerting.send(160)
    assert sorted(told(news)) == [("job_failed", "open"), ("job_failed", "resolved")]


def test_a_channel_hears_only_of_what_changes_after_it_was_added(alerting: Alerting, tenant: Tenant) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    alerting.send(90)
    with alerting.acting(tenant.owner):
        alerting.call("add_alert_channel", type="slack", name="ops", address="https://hooks.example/x")
    assert [d["channel"] for d in alerting.send(150)] == []
    alerting.run("export", 100, "csv", "failed")
    assert [d["channel"] for d in alerting.send(200)] == ["slack"]


def test_nobody_is_told_in_the_quiet_hours_but_after_them(alerting: Alerting) -> None:
    alerting.channel(quiet_from="22:00", quiet_until="06:00", time_zone="Europe/Berlin")
    night = 10 * HOUR  # 22:00 UTC, 23:00 in Berlin
    alerting.run("import", night, "csv", "failed")
    alerting.run("export", night, "csv", "failed")
    assert alerting.send(night + 90) == []
    alerting.retry("export", night + 600)
    assert alerting.send(night + 700) == []
    assert alerting.send(17 * HOUR - 1) == []
    (delivery,) = alerting.send(17 * HOUR)
    assert sorted((a["job"], a["status"]) for a in delivery["body"]["data"]["alerts"]) == [
        ("export", "resolved"), ("import", "open"),
    ]  # fmt: skip


def test_quiet_hours_within_a_day_end(alerting: Alerting) -> None:
    alerting.channel(quiet_from="11:00", quiet_until="13:00")
    alerting.run("import", 0, "csv", "failed")
    assert alerting.send(90) == []
    assert len(alerting.send(HOUR)) == 1


@pytest.mark.parametrize("scope", [{}, {"rule": "job_failed"}, {"kind": "csv"}, {"job_id": "import"}])
def test_a_mute_holds_back_until_it_ends(alerting: Alerting, tenant: Tenant, scope: dict[str, str]) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    with alerting.acting(tenant.owner):
        far = alerting.one("select now() + interval '1 hour'")
        muted = alerting.call("mute_alerts", until=far, reason="a migration", **scope)
        assert muted["until"]
        assert len(alerting.call("list_alert_rules")["mutes"]) == 1
    assert alerting.send(90) == []
    assert len(alerting.open()) == 1
    with alerting.acting(tenant.owner):
        alerting.call("mute_alerts", until=None, **scope)
        assert alerting.call("list_alert_rules")["mutes"] == []
    (delivery,) = alerting.send(120)
    assert told(delivery) == [("job_failed", "open")]


@pytest.mark.parametrize("scope", [{"rule": "job_late"}, {"kind": "other"}, {"job_id": "other"}])
def test_a_mute_covers_nothing_else(alerting: Alerting, tenant: Tenant, scope: dict[str, str]) -> None:
    alerting.channel()
    alerting.create("other", 0, kind="other")
    alerting.run("import", 0, "csv", "failed")
    with alerting.acting(tenant.owner):
        alerting.call("mute_alerts", until=alerting.one("select now() + interval '1 hour'"), **scope)
    assert len(alerting.send(90)) == 1


def test_a_mute_is_for_operators(alerting: Alerting, tenant: Tenant) -> None:
    with alerting.acting(tenant.teammate), pytest.raises(Refused, match="not_allowed"):
        alerting.call("mute_alerts", until=moment(10**9))
    with alerting.acting(tenant.owner):
        with pytest.raises(Refused, match="invalid_value"):
            alerting.call("mute_alerts", until=moment(10**9), rule="nothing")
        with pytest.raises(Refused, match="job_not_found"):
            alerting.call("mute_alerts", until=moment(10**9), job_id="nothing")


def test_only_admins_see_and_manage_channels_and_nobody_reads_their_secrets(
    alerting: Alerting, tenant: Tenant
) -> None:
    url = "https://hooks.slack.example/services/T0/B0/secret?token=x"
    with alerting.acting(tenant.owner):
        hook = alerting.call("add_alert_channel", type="webhook", name="hook", address=url)
        slack = alerting.call("add_alert_channel", type="slack", name="ops", address=url)
        assert hook["secret"].startswith("whsec_")
        assert slack["secret"] is None
        shown = alerting.call("list_alert_channels")
        assert [channel["address"] for channel in shown] == ["https://hooks.slack.example"] * 2
        assert "secret" not in str(shown)
        for column in ("secret", "address"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                alerting.rows(f"select {column} from milepost_private.alert_channels")
    for person in (tenant.teammate, tenant.stranger):
        with alerting.acting(person):
            assert alerting.call("list_alert_channels") == []
            with pytest.raises(Refused, match="channel_not_found"):
                alerting.call("remove_alert_channel", channel_id=hook["channel_id"])
    with alerting.acting(tenant.teammate), pytest.raises(Refused, match="not_allowed"):
        alerting.call("add_alert_channel", type="email", name="me", address="me@example.org")
    with alerting.acting(tenant.owner):
        assert alerting.call("remove_alert_channel", channel_id=hook["channel_id"])["removed"]
        assert len(alerting.call("list_alert_channels")) == 1


@pytest.mark.parametrize(
    ("type", "address"),
    [
        ("webhook", "ftp://hook.example"),
        ("webhook", "file:///etc/passwd"),
        ("webhook", "https://user:pass@hook.example/"),
        ("webhook", "https:///nowhere"),
        ("webhook", "https://a b"),
        ("slack", "hooks.slack.com/x"),
        ("email", "no address"),
        ("email", "a@example.org\nBcc: b@example.org"),
        ("email", "a@example.org, <b@example.org>"),
        ("pager", "https://hook.example"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(
    alerting: Alerting, tenant: Tenant, type: str, address: str
) -> None:
    with alerting.acting(tenant.owner), pytest.raises(Refused, match="invalid_value"):
        alerting.call("add_alert_channel", type=type, name="x", address=address)


def test_quiet_hours_need_both_ends_and_a_zone_that_exists(alerting: Alerting, tenant: Tenant) -> None:
    channel = {"type": "email", "name": "x", "address": "a@example.org, b@example.org"}
    with alerting.acting(tenant.owner):
        with pytest.raises(Refused, match="missing_field"):
            alerting.call("add_alert_channel", **channel, quiet_from="22:00")
        quiet = {"quiet_from": "22:00", "quiet_until": "06:00"}
        with pytest.raises(Refused, match="invalid_value"):
            alerting.call("add_alert_channel", **channel, **quiet, time_zone="Mars/Olympus")
        added = alerting.call("add_alert_channel", **channel, **quiet, time_zone="Europe/Berlin")
        assert (added["quiet_from"], added["address"]) == ("22:00:00", "a@example.org, b@example.org")


def test_what_is_long_over_is_deleted(alerting: Alerting) -> None:
    alerting.channel()
    alerting.run("import", 0, "csv", "failed")
    (delivery,) = alerting.send(90)
    alerting.send(91, [result(delivery)])
    alerting.retry("import", 100)
    alerting.send(150)
    alerting.evaluate(31 * DAY)
    assert alerting.alerts() == []
    left = "select delivered_at from milepost_private.alert_deliveries where tenant_id = %s"
    assert [row["delivered_at"] for row in alerting.rows(left, alerting.tenant_id)] == [None]


def test_a_message_is_handed_out_with_what_opens_its_channel_to_the_service_only(
    alerting: Alerting, tenant: Tenant
) -> None:
    with alerting.acting(tenant.owner), pytest.raises(psycopg.errors.InsufficientPrivilege):
        alerting.one("select milepost.send_alerts(%s)", Jsonb([]))
