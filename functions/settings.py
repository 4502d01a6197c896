"""What the HTTP functions read from their environment, each once: `Settings.supabase_url` and so on."""

import os

from milepost._settings import Variable, address, problems, project, publishable_key, secret_key, text
from milepost.errors import ConfigurationError


def _threads(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise ValueError(f"expected a whole number of at least 1, found {value[:40]!r}.")
    return int(value)


def _mail_server(value: str) -> str:
    if not value.startswith(("smtp://", "smtps://")):
        # Not what was found: it may have a password in it.
        raise ValueError("expected smtp://user:password@host:587 or smtps://..., found something else.")
    return value


def _switch(value: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError(f"expected 1 or 0, found {value[:40]!r}.")
    return value == "1"


class Settings:
    """What the functions read. A value that cannot be raises ConfigurationError, when it is asked for."""

    supabase_url = Variable(
        "SUPABASE_URL", read=project, meaning="The Supabase project, such as https://abc.supabase.co."
    )
    secret_key = Variable(
        "SUPABASE_SECRET_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        read=secret_key,
        meaning="The project's secret key (sb_secret_...; the legacy service_role key works too).",
    )
    publishable_key = Variable(
        "SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_ANON_KEY",
        read=publishable_key,
        meaning="The project's publishable key (sb_publishable_...; the legacy anon key works too).",
    )
    jwt_secret = Variable(
        "SUPABASE_JWT_SECRET",
        read=text,
        default=None,
        meaning="Only where users' tokens are still signed with the legacy secret; else the project's public "
        "keys are fetched.",
    )
    cron_secret = Variable(
        "CRON_SECRET",
        read=text,
        default=None,
        meaning="What calls of /cron carry as a bearer token. Without it all of them are refused.",
    )
    threads = Variable(
        "THREADS",
        read=_threads,
        default=None,
        meaning="Threads of a process, as functions-framework reads it; half of them may hold streams of "
        "events. Four for each core without it.",
    )
    allows_private_webhooks = Variable(
        "MILEPOST_ALLOW_PRIVATE_WEBHOOKS",
        read=_switch,
        default=False,
        meaning="1 lets alerts go to private addresses, on your own network.",
    )
    email_from = Variable(
        "MILEPOST_EMAIL_FROM", read=text, default=None, meaning="The sender of alerts by e-mail."
    )
    smtp_url = Variable(
        "MILEPOST_SMTP_URL",
        read=_mail_server,
        default=None,
        meaning="The mail server: smtp://user:password@host:587, or smtps://.",
    )
    email_api_url = Variable(
        "MILEPOST_EMAIL_API_URL",
        read=address,
        default=None,
        meaning="Instead of a mail server: an HTTP API that takes from, to, subject and text.",
    )
    email_api_key = Variable(
        "MILEPOST_EMAIL_API_KEY", read=text, default="", meaning="The bearer token for that API."
    )
    otlp_endpoint = Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        read=address,
        default=None,
        meaning="Where traces go; none are made without it. The other OTEL_ variables work as "
        "OpenTelemetry has them.",
    )
    otel_service_name = Variable(
        "OTEL_SERVICE_NAME", read=text, default=None, meaning="What traces call the functions; `milepost`."
    )


def threads() -> int:
    """How many requests this process answers at a time, as functions-framework counts."""
    return Settings.threads or 4 * (os.cpu_count() or 1)


def check() -> None:
    """Raises ConfigurationError with all that is missing or wrong, for a server that is about to start."""
    if found := problems(Settings):
        raise ConfigurationError(
            "The functions cannot start.\n" + "\n".join(f"  {error.message} {error.hint}" for error in found)
        )
