"""Messages reach real servers, and those that fail, hang or redirect do no harm."""

import base64
import hmac
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import AuthResult
from receivers import Receiver, babble, drip, flood, hang, misbehaving, receiver

from functions import deliveries, outbound
from functions.outbound import Undeliverable, is_public, post
from milepost.local.ports import free_port

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def alert(**fields: Any) -> dict[str, Any]:
    return {
        "alert_id": "a", "status": "open", "rule": "job_failed", "severity": "critical", "job": "import",
        "message": "import failed in attempt 1 of 1: <!channel> & co",
    } | fields  # fmt: skip


def delivery(channel: str, address: str, *alerts: dict[str, Any], left_out: int = 0) -> dict[str, Any]:
    told = list(alerts) or [alert()]
    resolved = sum(a["status"] == "resolved" for a in told)
    data = {
        "tenant": "ACME\nInc", "tenant_id": "t", "alerts": told, "left_out": left_out,
        "open": len(told) - resolved + left_out, "resolved": resolved,
    }  # fmt: skip
    return {
        "delivery_id": "6b1c2d3e", "lease_id": "l", "attempt": 1, "channel": channel, "address": address,
        "secret": SECRET if channel == "webhook" else None,
        "body": {"type": "milepost.alerts", "timestamp": "2026-01-22T12:00:00.000Z", "data": data},
    }  # fmt: skip


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_ALLOW_PRIVATE_WEBHOOKS", "1")


@pytest.mark.usefixtures("allowed")
def test_a_webhook_is_signed_over_its_id_its_time_and_its_body(server: Receiver) -> None:
    sent = delivery("webhook", server.url + "/hook?token=x")
    deliveries.deliver(sent)
    (got,) = server.received
    assert got.path == "/hook?token=x"
    assert json.loads(got.body) == sent["body"]
    assert (got.headers["webhook-id"], got.headers["content-type"]) == ("6b1c2d3e", "application/json")
    signed = f"6b1c2d3e.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.digest(b"k" * 32, signed, "sha256")).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.usefixtures("allowed")
def test_slack_gets_a_text_in_which_nothing_becomes_a_mention(server: Receiver) -> None:
    deliveries.deliver(delivery("slack", server.url, alert(), alert(status="resolved"), left_out=2))
    text = json.loads(server.received[0].body)["text"]
    assert text.splitlines() == [
        "*[ACME Inc] 3 open, 1 resolved*",
        "CRITICAL import failed in attempt 1 of 1: &lt;!channel&gt; &amp; co",
        "RESOLVED import failed in attempt 1 of 1: &lt;!channel&gt; &amp; co",
        "... and 2 more.",
    ]


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_an_answer_that_is_no_success_is_said(server: Receiver, status: int) -> None:
    server.status = status
    with pytest.raises(Undeliverable, match=f"^it answered {status}$"):
        deliveries.deliver(delivery("webhook", server.url))


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Receiver, status: int) -> None:
    server.status, server.headers = status, {"Location": server.url + "/inside"}
    with pytest.raises(Undeliverable, match="a redirect"):
        deliveries.deliver(delivery("webhook", server.url + "/hook"))
    assert [got.path for got in server.received] == ["/hook"]


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("behave", [hang, drip])
def test_a_server_that_hangs_is_left_when_the_time_is_over(behave: Callable[..., None]) -> None:
    with (
        misbehaving(behave) as port,
        pytest.raises(Undeliverable, match=r"^it did not answer within 0\.2 s$"),
    ):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_s=0.2)


@pytest.mark.usefixtures("allowed")
def test_an_endless_answer_is_not_read() -> None:
    with misbehaving(flood) as port:
        post(f"http://127.0.0.1:{port}/", b"{}", {})


@pytest.mark.usefixtures("allowed")
def test_what_is_no_http_is_said() -> None:
    with misbehaving(babble) as port, pytest.raises(Undeliverable, match="RemoteProtocolError"):
        post(f"http://127.0.0.1:{port}/", b"{}", {})
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Undeliverable, match="ConnectError"):
        post(f"http://127.0.0.1:{port}/", b"{}", {})
    with misbehaving(babble) as port, pytest.raises(Undeliverable):
        post(f"https://127.0.0.1:{port}/", b"{}", {})


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "//example.org", "http://", "nothing", "http://exa mple/", "http://\x00/"]
)
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(Undeliverable):
        post(url, b"{}", {})


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0", "[::1]", "[::ffff:127.0.0.1]",
        "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "[fe80::1]", "[fd00:ec2::254]", "[ff02::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "[::127.0.0.1]", "168.63.129.16",
    ],
)  # fmt: skip
def test_a_private_address_is_refused_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    def connect(*args: object) -> None:
        raise AssertionError("it must not even connect")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Undeliverable, match="private network"):
        post(f"http://{host}:80/", b"{}", {})


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"]))


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Lets every name have these addresses, one list after the other; returns what is then connected to."""
    left, connected = list(answers), []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in left.pop(0)]

    def connect(address: tuple[str, int], *_: object, **__: object) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", connect)
    return connected


def test_a_name_is_asked_for_once_and_the_address_that_was_checked_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected = resolving(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    with pytest.raises(Undeliverable, match="ConnectError"):
        post("http://rebinding.example/", b"{}", {})
    assert connected == ["93.184.215.14"]


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = resolving(monkeypatch, ["93.184.215.14", "10.0.0.1"])
    with pytest.raises(Undeliverable, match="private network"):
        post("http://both.example/", b"{}", {})
    assert connected == []


class Mailbox(Message):
    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.mails.append(message)


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server that knows one user."""

    def log_in(server: object, session: object, envelope: object, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.login == b"robot@acme" and data.password == b"p:w", handled=False)

    mailbox = Mailbox()
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=log_in,
        auth_require_tls=False,
    )
    controller.start()
    monkeypatch.setenv("MILEPOST_SMTP_URL", f"smtp://robot%40acme:p%3Aw@127.0.0.1:{controller.port}")
    monkeypatch.setenv("MILEPOST_EMAIL_FROM", "Milepost <alerts@example.org>")
    try:
        yield mailbox
    finally:
        controller.stop()


def test_an_email_goes_out_by_smtp(mailbox: Mailbox) -> None:
    deliveries.deliver(delivery("email", "a@example.org, b@example.org"))
    (mail,) = mailbox.mails
    assert mail["To"] == "a@example.org, b@example.org"
    assert mail["From"] == "Milepost <alerts@example.org>"
    assert mail["Message-ID"] == "<6b1c2d3e@milepost>"
    assert mail["Subject"].replace("\n", "") == (
        "[ACME Inc] CRITICAL import failed in attempt 1 of 1: <!channel> & co"
    )
    assert mail.get_payload().splitlines() == [
        "CRITICAL import failed in attempt 1 of 1: <!channel> & co", "", "Sent by Milepost.",
    ]  # fmt: skip


def test_no_text_of_a_job_adds_a_header_or_a_control_to_an_email(mailbox: Mailbox) -> None:
    mischief = "import\r\nBcc: x@example.org\r\n\r\nbody\x1b]0;owned\x07\x9b31m\x00\x08"
    deliveries.deliver(delivery("email", "a@example.org", alert(message=mischief)))
    (mail,) = mailbox.mails
    assert mail["Bcc"] is None
    said = "CRITICAL import Bcc: x@example.org body ]0;owned 31m"
    assert mail["Subject"].replace("\n", "") == f"[ACME Inc] {said}"
    assert mail.get_payload().splitlines() == [said, "", "Sent by Milepost."]


def test_a_mail_server_that_refuses_hangs_or_is_away_is_said(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    right = os.environ["MILEPOST_SMTP_URL"]
    monkeypatch.setenv("MILEPOST_SMTP_URL", right.replace("p%3Aw", "wrong"))
    with pytest.raises(Undeliverable, match="SMTPAuthenticationError"):
        deliveries.deliver(delivery("email", "a@example.org"))
    with misbehaving(hang) as port:
        monkeypatch.setenv("MILEPOST_SMTP_URL", f"smtp://127.0.0.1:{port}")
        with pytest.raises(Undeliverable, match=r"timed out|TimeoutError"):
            deliveries.deliver(delivery("email", "a@example.org"), timeout_s=0.2)
    with pytest.raises(Undeliverable, match="ConnectionRefusedError"):
        deliveries.deliver(delivery("email", "a@example.org"))
    assert mailbox.mails == []


def test_an_email_goes_out_by_an_http_api(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    server.status = 200
    monkeypatch.setenv("MILEPOST_EMAIL_API_URL", server.url + "/emails")
    monkeypatch.setenv("MILEPOST_EMAIL_API_KEY", "re_key")
    monkeypatch.setenv("MILEPOST_EMAIL_FROM", "alerts@example.org")
    deliveries.deliver(delivery("email", "a@example.org,b@example.org"))
    (got,) = server.received
    assert got.headers["authorization"] == "Bearer re_key"
    assert got.headers["idempotency-key"] == "6b1c2d3e"
    assert json.loads(got.body) == {
        "from": "alerts@example.org",
        "to": ["a@example.org", "b@example.org"],
        "subject": "[ACME Inc] CRITICAL import failed in attempt 1 of 1: <!channel> & co",
        "text": "CRITICAL import failed in attempt 1 of 1: <!channel> & co\n\nSent by Milepost.",
    }


def test_where_no_email_can_be_sent_it_is_said() -> None:
    with pytest.raises(Undeliverable, match="MILEPOST_SMTP_URL"):
        deliveries.deliver(delivery("email", "a@example.org"))


def test_a_message_takes_ten_seconds_at_most_unless_told() -> None:
    assert outbound.TIMEOUT_S == 10
