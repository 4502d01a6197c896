"""Who may call: holders of Milepost keys and signed-in users, and nobody else."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from asking import JWT_SECRET, KEY, USER, assert_refused, token
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_postgrest import FakePostgrest, Reply, refusal
from jwt.algorithms import ECAlgorithm
from werkzeug.test import Client

from functions import openapi

CALLERS_ONLY = [
    (operation.method.upper(), operation.path.replace("{job}", "a"))
    for operation in openapi.OPERATIONS
    if operation.security == "caller"
]


def get(api: Client, authorization: str | None, **headers: str) -> Any:
    given = {**headers, **({"Authorization": authorization} if authorization else {})}
    return api.get("/v1/jobs/a", headers=given)


@pytest.mark.parametrize(("method", "path"), CALLERS_ONLY)
def test_nobody_is_refused_everywhere(api: Client, fake: FakePostgrest, method: str, path: str) -> None:
    response = api.open(path, method=method, json={"job": "a", "priority": 1} if method == "POST" else None)
    assert_refused(response, 401, "key_required")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert fake.calls == []


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic bXBfYTo=", "mp_worker"])
def test_anything_but_a_bearer_is_nobody(api: Client, authorization: str) -> None:
    assert_refused(get(api, authorization), 401, "key_required")


def test_the_scheme_may_be_written_in_any_case(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply({})
    assert get(api, "bearer mp_worker").status_code == 200


@pytest.mark.parametrize("key", ["sb_secret_of_the_project", "sb_publishable_of_the_project"])
def test_a_key_of_the_project_is_refused_with_a_hint(api: Client, fake: FakePostgrest, key: str) -> None:
    body = assert_refused(get(api, f"Bearer {key}"), 401, "wrong_key")
    assert "mp_" in body["hint"]
    assert key not in json.dumps(body)
    assert fake.calls == []


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_a_legacy_key_of_the_project_is_refused_with_a_hint(api: Client, role: str) -> None:
    legacy = token(role=role, sub=None, aud=None, iss="supabase")
    assert "mp_" in assert_refused(get(api, f"Bearer {legacy}"), 401, "wrong_key")["hint"]


def test_a_user_reads_with_the_users_own_rights(api: Client, fake: FakePostgrest) -> None:
    fake.replies["get_job_progress"] = Reply({"job": "a"})
    users = token()
    assert get(api, f"Bearer {users}").get_json() == {"job": "a"}
    assert fake.calls[0].headers["authorization"] == f"Bearer {users}"
    assert fake.calls[0].headers["apikey"] == "sb_publishable_of_the_project"
    assert fake.calls[0].body == {"job_id": "a"}


def test_a_key_reads_with_no_more_than_the_keys_rights(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply({"job": "a"})
    assert get(api, "Bearer mp_worker").get_json() == {"job": "a"}
    assert fake.calls[0].body.keys() == {"key_hash", "rpc", "args"}
    assert (fake.calls[0].body["rpc"], fake.calls[0].body["args"]) == ("get_job_progress", {"job_id": "a"})


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"sub": "not-a-uuid"},
        {"role": "supabase_admin"},
        {"role": None},
        {"nbf": int(time.time()) + 600},
    ],
    ids=str,
)
def test_a_token_that_does_not_hold_is_refused(
    api: Client, fake: FakePostgrest, changes: dict[str, Any]
) -> None:
    assert_refused(get(api, f"Bearer {token(**changes)}"), 401, "invalid_token")
    assert fake.calls == []


def test_a_token_that_has_just_expired_is_forgiven(api: Client, fake: FakePostgrest) -> None:
    fake.replies["get_job_progress"] = Reply({})
    assert get(api, f"Bearer {token(exp=int(time.time()) - 2)}").status_code == 200


def forged(algorithm: str = "HS256", secret: str = "x" * 64) -> str:
    claims = {"sub": USER, "aud": "authenticated", "role": "authenticated", "exp": 9e9}
    return jwt.encode(claims, secret, algorithm)


@pytest.mark.parametrize(
    "bad",
    [
        forged(),
        forged(algorithm="HS512"),
        forged(algorithm="none", secret=""),
        "garbage",
        "a.b.c",
        "e30.e30.e30",
        "é",
    ],
)
def test_a_forged_token_is_refused(api: Client, fake: FakePostgrest, bad: str) -> None:
    fake.replies["jwks.json"] = Reply({"keys": []})
    assert_refused(get(api, f"Bearer {bad}"), 401, "invalid_token")
    assert not any(call.rpc == "get_job_progress" for call in fake.calls)


def signed(key: ec.EllipticCurvePrivateKey) -> str:
    claims = jwt.decode(token(), JWT_SECRET, ["HS256"], audience="authenticated")
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "k1"})


def published(key: ec.EllipticCurvePrivateKey) -> Reply:
    public = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "ES256", "use": "sig"}
    return Reply({"keys": [public]})


def test_a_token_signed_by_the_projects_key_pair_holds_and_the_key_is_fetched_once(
    api: Client, fake: FakePostgrest
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    fake.replies["jwks.json"] = published(key)
    fake.replies["get_job_progress"] = Reply({})
    for _ in range(3):
        assert get(api, f"Bearer {signed(key)}").status_code == 200
    assert [call.rpc for call in fake.calls].count("jwks.json") == 1


def test_a_token_signed_by_another_key_pair_is_refused(api: Client, fake: FakePostgrest) -> None:
    fake.replies["jwks.json"] = published(ec.generate_private_key(ec.SECP256R1()))
    assert_refused(
        get(api, f"Bearer {signed(ec.generate_private_key(ec.SECP256R1()))}"), 401, "invalid_token"
    )


def test_the_public_key_is_never_taken_for_a_secret(api: Client, fake: FakePostgrest) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    fake.replies["jwks.json"] = published(key)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims, _, _ = token().rpartition(".")
    # By hand, since the library refuses to sign so.
    signature = hmac.digest(public, claims.encode(), "sha256")
    confused = f"{claims}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert_refused(get(api, f"Bearer {confused}"), 401, "invalid_token")


def test_a_token_cannot_be_judged_while_the_keys_are_away(api: Client, fake: FakePostgrest) -> None:
    fake.replies["jwks.json"] = Reply("away", 503)
    response = get(api, f"Bearer {signed(ec.generate_private_key(ec.SECP256R1()))}")
    assert_refused(response, 503, "database_unavailable")


def test_a_tenant_is_named_by_its_uuid(api: Client, fake: FakePostgrest) -> None:
    assert_refused(get(api, f"Bearer {token()}", **{"X-Milepost-Tenant": "acme"}), 422, "invalid_value")
    assert fake.calls == []


@pytest.mark.parametrize("code", ["PGRST301", "PGRST302", "PGRST303"])
def test_a_token_that_postgrest_refuses_is_refused(api: Client, fake: FakePostgrest, code: str) -> None:
    fake.replies["get_job_progress"] = refusal(401, code)
    assert_refused(get(api, f"Bearer {token()}"), 401, "invalid_token")


def test_a_service_key_that_postgrest_refuses_is_no_fault_of_the_caller(
    api: Client, fake: FakePostgrest, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.replies["call_with_key"] = refusal(401, "PGRST301")
    assert_refused(api.get("/v1/jobs/a", headers=KEY), 500, "internal_error")
    assert "PGRST301" in capsys.readouterr().err
