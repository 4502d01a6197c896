"""What `milepost doctor` looks at: each check says what was found, and where it is wrong, what to do.

Nothing is changed, but for one sweep where CRON_SECRET is given, which is what the schedule does anyway.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

import httpx

from milepost._settings import Settings, kind_of_key, problems
from milepost._version import VERSION, misfit
from milepost.errors import ConfigurationError

Verdict = Literal["ok", "note", "wrong", "skipped"]
Json = dict[str, Any]

MOST_SKEW_S = 5.0
"""A user's token is refused when its clock is ten seconds ahead of who looks at it."""
_RESTLESS = {
    "milepost-sweep": timedelta(minutes=5),
    "milepost-alerts": timedelta(minutes=15),
    "milepost-purge": timedelta(hours=1),
    "milepost-prune": timedelta(days=2),
}
_EXPOSE = (
    "Add `milepost` to the exposed schemas: Settings, API, on Supabase; `schemas` below [api] in config.toml."
)
_INSTALL = "Apply the schema: `supabase db push`, or paste sql/complete-schema.sql (docs/installing.md)."
_AGAIN = "Apply the schema again, which puts it right: paste sql/complete-schema.sql."


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    found: str
    fix: str | None = None


def examine(clock: Callable[[], float] = time.time) -> Iterator[Check]:
    """All checks, in an order in which the first that is wrong explains those after it."""
    yield from of_settings()
    with httpx.Client(timeout=10) as http, ThreadPoolExecutor() as at_once:
        parts = [
            at_once.submit(list[Check], checks)
            for checks in (of_project(http, clock), of_realtime(), of_functions(http, clock))
        ]
        for part in parts:
            yield from part.result()


def of_settings() -> Iterator[Check]:
    wrong = problems(Settings)
    for error in wrong:
        yield Check("settings", "wrong", error.message, error.hint)
    if not wrong:
        yield Check("settings", "ok", "no variable of the environment has a value that cannot be")
    key = _given("key")
    if key and (kind := kind_of_key(key)) in ("secret", "legacy secret", "publishable", "legacy publishable"):
        yield Check(
            "worker's key",
            "wrong",
            f"MILEPOST_KEY is a {kind} key of the Supabase project",
            "Give workers a Milepost key (`milepost keys create --scope worker`)"
            + (", and renew the secret key: whoever had it may do everything." if "secret" in kind else "."),
        )


def _given(name: str) -> str | None:
    """A setting, or None where it is missing or wrong, which `of_settings` tells."""
    try:
        value: str | None = getattr(Settings, name)
    except ConfigurationError:
        return None
    return value


# ------------------------------------------------------------------------------------------ the database


def of_project(http: httpx.Client, clock: Callable[[], float]) -> Iterator[Check]:
    url, key = _given("supabase_url"), _given("secret_key")
    if not url or not key:
        yield Check(
            "database",
            "skipped",
            "SUPABASE_URL and SUPABASE_SECRET_KEY are not given",
            "Give the functions' environment to look at the database.",
        )
        return
    headers = {"apikey": key, "Content-Profile": "milepost"}
    if not key.startswith("sb_"):
        headers["Authorization"] = f"Bearer {key}"
    asked = clock()
    try:
        response = http.post(f"{url}/rest/v1/rpc/installation", headers=headers, json={})
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        yield Check(
            "database",
            "wrong",
            f"{url} gave no answer of PostgREST: {str(error) or type(error).__name__}",
            "Correct SUPABASE_URL; a project on the free plan may be paused.",
        )
        return
    if not response.is_success:
        yield _refused(response.status_code, answer)
        return
    yield Check("database", "ok", f"{url} answers; schema milepost is exposed and the secret key is right")
    between = (asked + clock()) / 2
    yield _skew("clock of the database", datetime.fromisoformat(answer["now"]).timestamp() - between)
    yield from of_database(answer)


def _refused(status: int, answer: Json) -> Check:
    code = answer.get("code")
    message = str(answer.get("message") or answer)[:200]
    if code == "PGRST106":
        return Check("database", "wrong", f"the schema is not exposed: {message}", _EXPOSE)
    if code == "PGRST202":
        return Check("database", "wrong", "the schema is missing, or older than this package", _INSTALL)
    if code == "42501":
        return Check(
            "database",
            "wrong",
            f"the service role may not call it: {message}",
            f"The key must be the secret one, and its grants must be there. {_AGAIN}",
        )
    if status in (401, 403):
        return Check(
            "database",
            "wrong",
            f"the secret key is refused: {message}",
            "Take SUPABASE_SECRET_KEY anew from Settings, API keys: it may be another project's, or renewed.",
        )
    return Check("database", "wrong", f"status {status}: {message}", "Look at the project's API logs.")


def of_database(facts: Mapping[str, Any]) -> Iterator[Check]:
    """What `milepost.installation()` answered, judged."""
    now = datetime.fromisoformat(facts["now"])
    yield _version(facts["schema_version"])
    yield (
        Check("extension pg_trgm", "ok", facts["extensions"]["pg_trgm"])
        if "pg_trgm" in facts["extensions"]
        else Check(
            "extension pg_trgm",
            "wrong",
            "not there: searching text fails",
            "create extension pg_trgm with schema extensions;",
        )
    )
    yield from _schedule(facts, now)
    yield (
        Check("partitions", "ok", f"made for {facts['days_ahead']} days ahead")
        if facts["days_ahead"] >= 2
        else Check(
            "partitions",
            "wrong",
            f"made for {facts['days_ahead']} days ahead, expected 7: nothing sweeps",
            "Let pg_cron or another scheduler call the sweep; select milepost.sweep(); makes them now.",
        )
    )
    for name, found, meaning in (
        ("row level security", facts["without_rls"], "tables without it"),
        ("privileges of anon", facts["open_to_anon"], "anon, whom everybody is, may use"),
        ("privileges of the service", facts["closed_to_service"], "the functions may not call"),
        ("privileges of users", facts["closed_to_users"], "signed-in users may not read"),
    ):
        yield (
            Check(name, "wrong", f"{meaning}: {', '.join(found[:5])}", _AGAIN)
            if found
            else Check(name, "ok", "as installed")
        )
    yield from _realtime_rules(facts)


def _version(found: str) -> Check:
    if misfit(VERSION, found):
        return Check(
            "schema version",
            "wrong",
            f"the schema is {found}, this package {VERSION}",
            "Upgrade the older of both: docs/installing.md.",
        )
    return Check("schema version", "ok", found)


def _schedule(facts: Mapping[str, Any], now: datetime) -> Iterator[Check]:
    if "pg_cron" not in facts["extensions"]:
        yield Check(
            "schedule",
            "note",
            "no pg_cron: something else has to call /cron/sweep and /cron/alerts each minute",
            "create extension pg_cron; then apply the schema again, which schedules all of it.",
        )
        return
    if facts["cron"] is None:
        yield Check(
            "schedule",
            "note",
            "pg_cron's tables cannot be read by the schema's owner",
            "grant usage on schema cron to postgres; grant select on all tables in schema cron to postgres;",
        )
        return
    jobs = {job["job"]: job for job in facts["cron"]}
    for name, silence in _RESTLESS.items():
        job = jobs.get(name)
        if job is None:
            yield Check(f"schedule {name}", "wrong", "not scheduled", _AGAIN)
        elif not job["active"]:
            yield Check(
                f"schedule {name}",
                "wrong",
                "switched off",
                f"cron.alter_job(jobid, active := true), with the jobid of {name} in cron.job.",
            )
        elif job["last_run_at"] is None:
            yield Check(f"schedule {name}", "note", "has not run yet", "Look again in a while.")
        elif job["last_status"] == "failed":
            yield Check(
                f"schedule {name}", "wrong", f"failed: {job['last_message']}", "Put right what it says."
            )
        elif (ago := now - datetime.fromisoformat(job["last_run_at"])) > silence:
            yield Check(
                f"schedule {name}",
                "wrong",
                f"ran last {str(ago).split('.')[0]} ago",
                "pg_cron does not run: restart the database, or look at its logs.",
            )
        else:
            yield Check(f"schedule {name}", "ok", f"ran at {job['last_run_at'][:19]}")


def _realtime_rules(facts: Mapping[str, Any]) -> Iterator[Check]:
    wrong = [
        said
        for is_wrong, said in (
            (
                not facts["realtime_policy"],
                "the policy on realtime.messages is missing, so nobody hears anything",
            ),
            (
                facts["realtime_rls"] is False,
                "row level security is off on realtime.messages, so everybody hears all",
            ),
            (
                not {"jobs", "events"} <= set(facts["published"]),
                "jobs and events are not in supabase_realtime",
            ),
        )
        if is_wrong
    ]
    yield (
        Check("Realtime's rules", "wrong", "; ".join(wrong), _AGAIN)
        if wrong
        else Check("Realtime's rules", "ok", "who may hear is decided by row level security")
    )
    if facts["browsers_may_send"]:
        yield Check(
            "Realtime's senders",
            "note",
            "a policy lets clients send on realtime.messages, so messages can be forged",
            "If no other application needs it, drop the policies for insert on realtime.messages.",
        )


# ---------------------------------------------------------------------------------------------- Realtime


def of_realtime() -> Iterator[Check]:
    url, key = _given("supabase_url"), _given("publishable_key")
    if not url or not key:
        yield Check("Realtime", "skipped", "SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY are not given")
        return
    try:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect
    except ImportError:
        yield Check("Realtime", "skipped", "the package websockets is missing", "pip install 'milepost[cli]'")
        return
    address = f"{url.replace('http', 'ws', 1)}/realtime/v1/websocket?apikey={key}&vsn=1.0.0"
    user_id = str(uuid.uuid4())
    token = _user_token(user_id)
    joins = {"stranger": (f"user:{uuid.uuid4()}", key, True), "public": (f"doctor-{user_id}", key, False)}
    if token:
        joins["user"] = (f"user:{user_id}", token, True)
        joins["another"] = (f"user:{uuid.uuid4()}", token, True)

    def refusal(topic: str, credential: str, is_private: bool) -> str | None:
        config = {"private": is_private, "presence": {"enabled": False}}
        payload = {"config": config, "access_token": credential}
        frame = {"topic": f"realtime:{topic}", "event": "phx_join", "ref": "1", "payload": payload}
        with connect(address, open_timeout=10, close_timeout=1) as socket:
            socket.send(json.dumps(frame))
            while True:
                said = json.loads(socket.recv(timeout=20))
                if said.get("event") == "phx_reply" and said.get("ref") == "1":
                    reply = said["payload"]
                    return None if reply["status"] == "ok" else str(reply["response"].get("reason"))

    try:
        # A connection each: a refusal comes five seconds late, a brake on guessing, and holds up its own.
        with ThreadPoolExecutor(len(joins)) as at_once:
            answers = at_once.map(lambda join: refusal(*join), joins.values())
            refusals = dict(zip(joins, answers, strict=True))
        yield from of_joins(refusals)
    except (OSError, TimeoutError, ValueError, KeyError, WebSocketException) as error:
        yield Check(
            "Realtime",
            "wrong",
            f"no answer: {str(error)[:200] or type(error).__name__}",
            "Look at SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY, and whether Realtime is on in the project.",
        )


def of_joins(refusals: Mapping[str, str | None]) -> Iterator[Check]:
    """What became of each join: None where it was accepted, else why not."""
    if refusals["stranger"] is None:
        yield Check("Realtime for strangers", "wrong", "a stranger may join a private topic", _AGAIN)
    else:
        yield Check("Realtime for strangers", "ok", "a stranger is refused at a private topic")
    if refusals["public"] is None:
        yield Check(
            "Realtime's public topics",
            "note",
            "anybody may use public topics of this project, at your cost",
            "If nothing else needs them: Realtime, Settings, switch off `Allow public access`.",
        )
    if "user" not in refusals:
        yield Check("Realtime for users", "skipped", "without SUPABASE_JWT_SECRET no user can be played")
    elif refusals["user"] is not None:
        said = f"a user is refused at their own topic: {refusals['user']}"
        yield Check("Realtime for users", "wrong", said, _AGAIN)
    elif refusals["another"] is None:
        yield Check("Realtime for users", "wrong", "a user may join another's topic", _AGAIN)
    else:
        yield Check("Realtime for users", "ok", "a user joins their own topic, and no other")


def _user_token(user_id: str) -> str | None:
    secret = _given("jwt_secret")
    if not secret:
        return None
    try:
        import jwt
    except ImportError:
        return None
    now = int(time.time())
    claims = {"sub": user_id, "aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 300}
    return jwt.encode(claims, secret, algorithm="HS256")


# ---------------------------------------------------------------------------------------- the functions


def of_functions(http: httpx.Client, clock: Callable[[], float]) -> Iterator[Check]:
    url, key = _given("url"), _given("key")
    if not url:
        yield Check("functions", "skipped", "MILEPOST_URL is not given", "Set it to look at the functions.")
        return
    try:
        asked = clock()
        response = http.get(f"{url}/health")
        between = (asked + clock()) / 2
        if not response.is_success:
            said = response.json() if "json" in response.headers.get("content-type", "") else {}
            yield Check(
                "functions",
                "wrong",
                f"/health answers {response.status_code}: {said.get('message') or response.text[:100]}",
                "The functions reach no database that fits: look at their environment and logs; "
                f"{said.get('hint') or 'docs/configuration.md lists the settings.'}",
            )
            return
        yield Check("functions", "ok", f"{url} answers, and reaches its database")
        if dated := response.headers.get("date"):
            # The header has whole seconds: what it says is half a second old on average.
            yield _skew("clock of the functions", parsedate_to_datetime(dated).timestamp() + 0.5 - between)
        yield from _cron(http, url)
        if key and kind_of_key(key) in ("milepost", "user token"):
            yield _key_works(http.get(f"{url}/v1/jobs?limit=1", headers={"Authorization": f"Bearer {key}"}))
        yield from _page(http, url)
    except httpx.HTTPError as error:
        yield Check(
            "functions",
            "wrong",
            f"{url} gave no answer: {str(error) or type(error).__name__}",
            "Correct MILEPOST_URL, or start the functions.",
        )


def _cron(http: httpx.Client, url: str) -> Iterator[Check]:
    statuses = {
        given: http.get(f"{url}/cron/sweep", headers={"Authorization": given} if given else {}).status_code
        for given in ("", "Bearer undefined")
    }
    if opened := [given or "no secret" for given, status in statuses.items() if status < 400]:
        yield Check(
            "CRON_SECRET",
            "wrong",
            f"/cron/sweep works with {opened[0]!r}",
            "Set CRON_SECRET in the functions' environment to a long random text.",
        )
        return
    secret = _given("cron_secret")
    if not secret:
        yield Check("CRON_SECRET", "ok", "/cron is closed to strangers; with CRON_SECRET it is tried too")
        return
    status = http.get(f"{url}/cron/sweep", headers={"Authorization": f"Bearer {secret}"}).status_code
    yield (
        Check("CRON_SECRET", "ok", "/cron works with the secret and is closed without")
        if status == 200
        else Check(
            "CRON_SECRET",
            "wrong",
            f"/cron/sweep answers {status} to this CRON_SECRET",
            "Set the same CRON_SECRET in the functions' environment, and deploy them again.",
        )
    )


def _key_works(response: httpx.Response) -> Check:
    if response.status_code == 401:
        return Check("worker's key", "wrong", "MILEPOST_KEY is refused", "Make one: milepost keys create.")
    # A worker's key may be for reporting alone.
    return Check("worker's key", "ok", "MILEPOST_KEY is known")


def _page(http: httpx.Client, url: str) -> Iterator[Check]:
    response = http.get(f"{url}/config.json")
    try:
        told = response.json() if response.is_success else None
    except ValueError:
        told = None
    if not isinstance(told, dict) or "publishable_key" not in told:
        return  # no page at this address
    kind = kind_of_key(key) if (key := str(told["publishable_key"])) else ""
    if "secret" in kind:
        yield Check(
            "page",
            "wrong",
            "config.json has a SECRET key, and everybody can read it",
            "Put the publishable key there, and renew the secret key now.",
        )
    elif kind not in ("publishable", "legacy publishable") or not told.get("supabase_url"):
        yield Check(
            "page",
            "note",
            "config.json names no Supabase project, so nobody can sign in",
            "Fill in public/config.json: docs/signing-in.md.",
        )
    else:
        yield Check("page", "ok", "config.json has a publishable key")


def _skew(name: str, ahead_s: float) -> Check:
    if abs(ahead_s) > MOST_SKEW_S:
        said = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
        return Check(name, "wrong", said, "Let the clock of the machine that is off be set by NTP.")
    return Check(name, "ok", f"within {MOST_SKEW_S:.0f} s of this machine's, {datetime.now(UTC):%H:%M} UTC")
