"""Tokens that the project's key pairs sign: rotation, floods, and everything that only looks like one."""

import json
from base64 import urlsafe_b64encode
from types import SimpleNamespace
from typing import Any

import jwt
import jwt.api_jwk
import jwt.jwk_set_cache
import jwt.jwks_client
import pytest
from asking import JWT_SECRET, assert_refused, token
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fake_postgrest import FakePostgrest, Reply
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from werkzeug.test import Client

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock by which public keys are kept, which only the test moves."""
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0])
    for module in (jwt.jwks_client, jwt.jwk_set_cache, jwt.api_jwk):
        monkeypatch.setattr(module, "time", clock)
    return now


class Project:
    """Supabase Auth's key pairs, by their ids."""

    def __init__(self, fake: FakePostgrest) -> None:
        self.fake = fake
        self.keys: dict[str, PrivateKey] = {}
        fake.replies["get_job_progress"] = Reply({"job": "a"})
        self.publish()

    def publish(self, *kids: str) -> None:
        """These are the ones that /jwks.json has from now on."""
        for kid in kids:
            self.keys.setdefault(kid, ec.generate_private_key(ec.SECP256R1()))
        self.fake.replies["jwks.json"] = Reply({"keys": [published(self.keys[kid], kid) for kid in kids]})

    def sign(self, kid: str, key: PrivateKey | None = None, **header: Any) -> str:
        claims = jwt.decode(token(), JWT_SECRET, ["HS256"], audience="authenticated")
        return jwt.encode(
            claims, key or self.keys[kid], algorithm_of(key or self.keys[kid]), {"kid": kid, **header}
        )

    @property
    def asked(self) -> int:
        return [call.rpc for call in self.fake.calls].count("jwks.json")


def algorithm_of(key: PrivateKey) -> str:
    return {ec.EllipticCurvePrivateKey: "ES256", rsa.RSAPrivateKey: "RS256"}.get(
        next(
            (kind for kind in (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey) if isinstance(key, kind)),
            type(key),
        ),
        "EdDSA",
    )


def published(key: PrivateKey, kid: str) -> dict[str, Any]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        shown = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, rsa.RSAPrivateKey):
        shown = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        shown = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**shown, "kid": kid, "alg": algorithm_of(key), "use": "sig"}


@pytest.fixture
def project(fake: FakePostgrest, now: list[float], monkeypatch: pytest.MonkeyPatch) -> Project:
    # As on a project that has no legacy secret.
    monkeypatch.delenv("SUPABASE_JWT_SECRET")
    return Project(fake)


def status(api: Client, bearer: str) -> int:
    response = api.get("/v1/jobs/a", headers={"Authorization": f"Bearer {bearer}"})
    if response.status_code != 200:
        assert_refused(response, 401, "invalid_token")
    return response.status_code


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=algorithm_of,
)
def test_each_kind_of_key_pair_proves_a_token(api: Client, project: Project, key: PrivateKey) -> None:
    project.keys["k"] = key
    project.publish("k")
    assert status(api, project.sign("k")) == 200
    assert status(api, project.sign("k")[:-8] + "AAAAAAAA") == 401


def test_a_new_key_is_fetched_and_an_old_one_forgotten(
    api: Client, project: Project, now: list[float]
) -> None:
    project.publish("old")
    assert status(api, project.sign("old")) == 200
    project.publish("old", "standby")
    now[0] += 11
    assert [status(api, project.sign(kid)) for kid in ("standby", "old")] == [200, 200]
    assert project.asked == 2
    # Revoked: proved by what is kept for five minutes at most.
    project.publish("standby")
    now[0] += 301
    assert [status(api, project.sign(kid)) for kid in ("old", "standby")] == [401, 200]


def test_a_flood_of_unknown_keys_does_not_flood_supabase(
    api: Client, project: Project, now: list[float]
) -> None:
    project.publish("known")
    stranger = ec.generate_private_key(ec.SECP256R1())
    for n in range(200):
        assert status(api, project.sign(f"unknown {n}", stranger)) == 401
        now[0] += 0.1
    # At first, and every ten seconds.
    assert project.asked <= 3
    assert status(api, project.sign("known")) == 200


@pytest.mark.parametrize(
    "algorithm", ["none", "HS256", "HS384", "HS512", "PS256", "ES512", "RS1", "", None, 5, ["ES256"]], ids=str
)
def test_an_algorithm_that_the_project_does_not_use_is_refused_without_asking_it(
    api: Client, project: Project, algorithm: object
) -> None:
    project.publish("k")
    _, claims, signature = project.sign("k").split(".")
    header = (
        urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "k", "typ": "JWT"}).encode())
        .rstrip(b"=")
        .decode()
    )
    assert status(api, f"{header}.{claims}.{signature}") == 401
    assert project.asked == 0


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_key_that_a_token_brings_along_is_not_looked_at(api: Client, project: Project, name: str) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    project.publish("k")
    brought: dict[str, object] = {
        "jku": f"{project.fake.url}/own/keys.json", "x5u": f"{project.fake.url}/own/keys.pem",
        "jwk": published(own, "k"), "x5c": ["MIIB"],
    }  # fmt: skip
    assert status(api, project.sign("k", own, **{name: brought[name]})) == 401
    assert {call.rpc for call in project.fake.calls} == {"jwks.json"}


@pytest.mark.parametrize("kid", [None, "", 7, ["k"], "k\0", "../k"], ids=str)
def test_a_token_names_its_key_exactly(api: Client, project: Project, kid: object) -> None:
    project.publish("k")
    header, claims, signature = project.sign("k").split(".")
    named = {"alg": "ES256", "typ": "JWT", **({} if kid is None else {"kid": kid})}
    forged = urlsafe_b64encode(json.dumps(named).encode()).rstrip(b"=").decode()
    assert forged != header
    assert status(api, f"{forged}.{claims}.{signature}") == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "service_role", "aud": "authenticated", "sub": None},
        {"role": ["authenticated"]},
        {"role": "authenticated "},
        {"role": "postgres"},
        {"aud": ["anon"]},
        {"sub": ["0d8f7c1e-2b3a-4c5d-8e9f-0a1b2c3d4e5f"]},
        {"sub": "0d8f7c1e-2b3a-4c5d-8e9f-0a1b2c3d4e5f\n"},
        {"exp": "never"},
        {"nbf": 4102444800},
        {"iat": 4102444800},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_are_almost_a_users_are_refused(
    api: Client, fake: FakePostgrest, changes: dict[str, Any]
) -> None:
    response = api.get("/v1/jobs/a", headers={"Authorization": f"Bearer {token(**changes)}"})
    assert response.status_code == 401
    assert response.get_json()["code"] in ("invalid_token", "wrong_key")
    assert fake.calls == []


def test_whose_key_it_is_counts_and_not_what_the_token_calls_its_issuer(
    api: Client, project: Project
) -> None:
    """A project with a domain of its own has two names; another project's key is refused whatever name it gives."""
    project.publish("k")
    for issuer in ("https://abc.supabase.co/auth/v1", "https://auth.example.org/auth/v1"):
        claims = jwt.decode(token(iss=issuer), JWT_SECRET, ["HS256"], audience="authenticated")
        for key, expected in ((project.keys["k"], 200), (ec.generate_private_key(ec.SECP256R1()), 401)):
            assert status(api, jwt.encode(claims, key, "ES256", {"kid": "k"})) == expected


def test_a_legacy_secret_goes_on_beside_key_pairs(api: Client, fake: FakePostgrest, now: list[float]) -> None:
    """While a project moves from one to the other, tokens of both are about."""
    project = Project(fake)
    project.publish("k")
    assert [status(api, project.sign("k")), status(api, token())] == [200, 200]


def test_a_legacy_secret_that_is_no_longer_set_proves_nothing(api: Client, project: Project) -> None:
    project.publish("k")
    assert status(api, token()) == 401
