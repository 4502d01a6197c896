"""Messages about alerts: to webhooks, to Slack, and by e-mail.

A deployment sends e-mail by MILEPOST_SMTP_URL (smtp://user:password@host:587, or smtps://), or by
MILEPOST_EMAIL_API_URL with MILEPOST_EMAIL_API_KEY; either way from MILEPOST_EMAIL_FROM.
"""

import base64
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import unquote, urlsplit

from functions import outbound
from functions.outbound import Undeliverable
from functions.settings import Settings
from milepost import __version__
from milepost._settings import is_loopback

_TEXT_LIMIT = 3_500  # Slack cuts off at 4,000 characters
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_JSON = {"Content-Type": "application/json", "User-Agent": f"milepost/{__version__}"}


def deliver(delivery: dict[str, Any], *, timeout_s: float = outbound.TIMEOUT_S) -> None:
    """Sends one message that `send_alerts` handed out. Raises `Undeliverable`."""
    {"webhook": _webhook, "slack": _slack, "email": _email}[delivery["channel"]](delivery, timeout_s)


def _webhook(delivery: dict[str, Any], timeout_s: float) -> None:
    """Signed as https://www.standardwebhooks.com has it."""
    body = json.dumps(delivery["body"], ensure_ascii=False).encode()
    message_id, timestamp = delivery["delivery_id"], str(int(time.time()))
    secret = base64.b64decode(delivery["secret"].removeprefix("whsec_"))
    signature = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    headers = {
        **_JSON,
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
    outbound.post(delivery["address"], body, headers, timeout_s=timeout_s)


def _slack(delivery: dict[str, Any], timeout_s: float) -> None:
    lines = [f"*{_slack_text(subject(delivery['body']))}*", *map(_slack_text, _lines(delivery["body"]))]
    body = {"text": "\n".join(lines)[:_TEXT_LIMIT]}
    outbound.post(delivery["address"], json.dumps(body).encode(), _JSON, timeout_s=timeout_s)


def _slack_text(text: str) -> str:
    # What a job says of itself must not become a link or a mention.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _email(delivery: dict[str, Any], timeout_s: float) -> None:
    smtp, api, sender = Settings.smtp_url, Settings.email_api_url, Settings.email_from
    if not sender or not (smtp or api):
        raise Undeliverable(
            "the functions have no way to send e-mail: MILEPOST_EMAIL_FROM and MILEPOST_SMTP_URL are not set"
        )
    to = [address.strip() for address in delivery["address"].split(",")]
    text = "\n".join([*_lines(delivery["body"]), "", "Sent by Milepost."])
    if smtp:
        _by_smtp(smtp, sender, to, subject(delivery["body"]), text, delivery["delivery_id"], timeout_s)
        return
    body = {"from": sender, "to": to, "subject": subject(delivery["body"]), "text": text}
    headers = {
        **_JSON,
        "Authorization": f"Bearer {Settings.email_api_key}",
        "Idempotency-Key": delivery["delivery_id"],
    }
    # The deployment's own address, not a tenant's.
    outbound.post(str(api), json.dumps(body).encode(), headers, guarded=False, timeout_s=timeout_s)


def _by_smtp(
    url: str, sender: str, to: list[str], subject: str, text: str, message_id: str, timeout_s: float
) -> None:
    # Here, since a worker's cold start should not pay for them.
    import smtplib
    import ssl
    from email.message import EmailMessage

    server = urlsplit(url)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(to), subject
    message["Message-ID"] = f"<{message_id}@milepost>"
    message.set_content(text)
    host = server.hostname or ""
    try:
        connection: smtplib.SMTP
        if server.scheme == "smtps":
            context = ssl.create_default_context()
            connection = smtplib.SMTP_SSL(host, server.port or 465, timeout=timeout_s, context=context)
        else:
            connection = smtplib.SMTP(host, server.port or 587, timeout=timeout_s)
        with connection:
            if server.scheme == "smtp" and connection.has_extn("starttls"):
                connection.starttls(context=ssl.create_default_context())
            elif server.scheme == "smtp" and server.username and not is_loopback(host):
                raise Undeliverable(
                    "the mail server offers no TLS, and the password would go out in the clear"
                )
            if server.username:
                connection.login(unquote(server.username), unquote(server.password or ""))
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise Undeliverable(f"the mail server refused: {type(error).__name__}: {error}"[:300]) from None


def subject(body: dict[str, Any]) -> str:
    """One line: the tenant, and what it is about."""
    data = body["data"]
    alerts, total = data["alerts"], data["open"] + data["resolved"]
    first = f"{_word(alerts[0])} {alerts[0]['message']}"
    counts = f"{data['open']} open, {data['resolved']} resolved" if total > 1 else first
    return _one_line(f"[{data['tenant']}] {counts}")[:200]


def _lines(body: dict[str, Any]) -> list[str]:
    data = body["data"]
    lines = [f"{_word(alert)} {_one_line(alert['message'])}" for alert in data["alerts"]]
    return lines + ([f"... and {data['left_out']} more."] if data["left_out"] else [])


def _one_line(text: str) -> str:
    # Line breaks would begin another header, and other controls another mode of the reader's terminal.
    return " ".join(_CONTROLS.sub(" ", text).split())


def _word(alert: dict[str, Any]) -> str:
    return "RESOLVED" if alert["status"] == "resolved" else str(alert["severity"]).upper()
