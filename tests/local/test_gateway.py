"""One port with Supabase's own paths: keys, proxying, files."""

import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import httpx
import jwt
import pytest
from aiohttp import web
from running_stack import RunningStack
from yarl import URL

from milepost.local import CHECKOUT
from milepost.local.gateway import WHOLE_ANSWER_BYTES, Gateway
from milepost.local.keys import Keys, KeySwap
from milepost.local.ports import HOST, free_port

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}


@pytest.fixture(scope="module")
def whoami(stack: RunningStack) -> str:
    """An RPC that tells under which role and user PostgREST runs a request."""
    stack.sql("""
        create or replace function public.whoami() returns jsonb language sql stable
        as $$ select jsonb_build_object('role', current_user, 'user', auth.uid()) $$
    """)
    stack.sql("grant execute on function public.whoami() to anon, authenticated, service_role")
    stack.sql("notify pgrst, 'reload schema'")
    url = f"{stack.supabase_url}/rest/v1/rpc/whoami"
    end = time.monotonic() + 10
    while httpx.post(url, headers={"apikey": stack.secret_key}).status_code == 404:
        assert time.monotonic() < end, "PostgREST has not seen the function"
    return url


def legacy(stack: RunningStack, role: str, **claims: object) -> str:
    return jwt.encode({"role": role, "exp": int(time.time()) + 60, **claims}, stack.jwt_secret)


def test_the_publishable_key_is_anon_and_the_secret_key_the_service(stack: RunningStack, whoami: str) -> None:
    for key, role in ((stack.publishable_key, "anon"), (stack.secret_key, "service_role")):
        for headers in ({"apikey": key}, {"apikey": key, "Authorization": f"Bearer {key}"}):
            assert httpx.post(whoami, headers=headers).json() == {"role": role, "user": None}
        assert httpx.post(f"{whoami}?apikey={key}").json() == {"role": role, "user": None}


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_a_legacy_key_is_the_role_it_names(stack: RunningStack, whoami: str, role: str) -> None:
    key = legacy(stack, role)
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    assert httpx.post(whoami, headers=headers).json() == {"role": role, "user": None}


def test_a_users_token_passes_beside_either_key(stack: RunningStack, whoami: str) -> None:
    person = stack.person()
    for key in (stack.publishable_key, stack.secret_key):
        headers = {"apikey": key, "Authorization": f"Bearer {person.jwt}"}
        assert httpx.post(whoami, headers=headers).json() == {"role": "authenticated", "user": person.user_id}


def test_no_key_is_refused(stack: RunningStack, whoami: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {stack.person().jwt}"}):
        answer = httpx.post(whoami, headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {
            "message": "No API key found in request",
            "hint": "No `apikey` request header or url param was found.",
        }


def test_a_wrong_key_is_refused(stack: RunningStack, whoami: str) -> None:
    wrong = {
        "unknown": "sb_publishable_unknown",
        "longer": stack.secret_key + "x",
        "foreign": jwt.encode({"role": "service_role"}, "another secret, also long enough for HS256"),
        "expired": legacy(stack, "service_role", exp=int(time.time()) - 60),
        "no role": jwt.encode({"sub": "x"}, stack.jwt_secret),
        "superuser": legacy(stack, "postgres"),
        "unsigned": jwt.encode({"role": "service_role"}, "", algorithm="none"),
    }
    for what, key in wrong.items():
        answer = httpx.post(whoami, headers={"apikey": key})
        assert (answer.status_code, answer.json().get("message")) == (401, "Invalid API key"), what


def test_an_opaque_bearer_other_than_the_key_is_refused(stack: RunningStack, whoami: str) -> None:
    headers = {"apikey": stack.publishable_key, "Authorization": f"Bearer {stack.secret_key}"}
    answer = httpx.post(whoami, headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (401, "Invalid API key")


def test_a_forged_user_token_is_refused_by_postgrest(stack: RunningStack, whoami: str) -> None:
    forged = jwt.encode({"role": "service_role"}, "another secret, also long enough for HS256")
    headers = {"apikey": stack.publishable_key, "Authorization": f"Bearer {forged}"}
    assert httpx.post(whoami, headers=headers).status_code == 401


def test_the_secret_key_is_refused_to_browsers_and_the_publishable_is_not(
    stack: RunningStack, whoami: str
) -> None:
    answer = httpx.post(whoami, headers={"apikey": stack.secret_key, **BROWSER})
    assert answer.status_code == 401
    assert answer.json()["message"] == "Forbidden use of secret API key in browser"
    assert httpx.post(whoami, headers={"apikey": stack.publishable_key, **BROWSER}).status_code == 200


def test_a_browser_may_call_from_any_origin(stack: RunningStack, whoami: str) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(whoami, headers={**asked, "Access-Control-Request-Headers": "apikey,x-client"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == "apikey,x-client"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    for headers in ({"apikey": stack.publishable_key}, {}):
        answer = httpx.post(whoami, headers={**headers, "Origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "*"


def test_the_user_behind_a_token_is_told(stack: RunningStack) -> None:
    person = stack.person()
    headers = {"apikey": stack.publishable_key}
    url = f"{stack.supabase_url}/auth/v1/user"
    user = httpx.get(url, headers={**headers, "Authorization": f"Bearer {person.jwt}"}).json()
    assert (user["id"], user["aud"], user["role"]) == (person.user_id, "authenticated", "authenticated")
    expired = stack.jwt(person.user_id, exp=int(time.time()) - 1)
    for token in ("nonsense", expired, legacy(stack, "anon")):
        refused = httpx.get(url, headers={**headers, "Authorization": f"Bearer {token}"})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "bad_jwt")
    assert httpx.get(url).status_code == 401


def test_there_are_no_public_keys_since_tokens_are_signed_with_the_secret(stack: RunningStack) -> None:
    assert httpx.get(f"{stack.supabase_url}/auth/v1/.well-known/jwks.json").json() == {"keys": []}


def test_the_functions_answer_behind_it(stack: RunningStack) -> None:
    assert httpx.get(f"{stack.api_url}/health").json() == {"status": "ok"}


class Behind:
    """A gateway before servers of the test's own."""

    def __init__(
        self, public: Path, upstream: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> None:
        self._public, self._upstream = public, upstream
        self._runners: list[web.AppRunner] = []
        self.keys = Keys()

    async def __aenter__(self) -> "Behind":
        server = web.Application(client_max_size=10_000_000)
        server.router.add_route("*", "/{path:.*}", self._upstream)
        self.upstream_port = await self._listen(server)
        gateway = web.Application()
        swap = KeySwap(self.keys)
        Gateway(swap, self._public, lambda: self.upstream_port, lambda: self.upstream_port).add_routes(
            gateway
        )
        self.url = f"http://{HOST}:{await self._listen(gateway)}"
        return self

    async def __aexit__(self, *error: object) -> None:
        for runner in reversed(self._runners):
            await runner.cleanup()

    async def _listen(self, app: web.Application) -> int:
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": dict(request.headers),
            "size": len(body),
        },
        headers={"X-Upstream": "yes"},
    )


def test_a_stream_arrives_piece_by_piece_and_ends_upstream_when_the_client_leaves(tmp_path: Path) -> None:
    async def scenario() -> None:
        first_was_read, upstream_ended = asyncio.Event(), asyncio.Event()

        async def stream(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b"data: 1\n\n")
            # Sent only when the client has the first piece: a gateway that gathers would wait forever.
            await first_was_read.wait()
            await response.write(b"data: 2\n\n")
            try:
                await asyncio.Event().wait()
            finally:
                upstream_ended.set()
            return response

        async with Behind(tmp_path, stream) as behind, aiohttp.ClientSession() as client:
            async with asyncio.timeout(10), client.get(f"{behind.url}/v1/events") as answer:
                assert await answer.content.readany() == b"data: 1\n\n"
                first_was_read.set()
                assert await answer.content.readany() == b"data: 2\n\n"
            async with asyncio.timeout(10):
                await upstream_ended.wait()

    asyncio.run(scenario())


def test_a_client_that_left_in_the_middle_of_an_answer_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def left(response: web.StreamResponse, data: bytes) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.StreamResponse, "write", left)

    async def long(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (WHOLE_ANSWER_BYTES + 1))

    async def scenario() -> None:
        async with Behind(tmp_path, long) as behind, aiohttp.ClientSession() as client:
            with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
                async with asyncio.timeout(10), client.get(f"{behind.url}/v1/jobs") as answer:
                    await answer.read()

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_half_an_answer_does_not_look_like_a_whole_one(tmp_path: Path) -> None:
    async def breaks_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def scenario() -> None:
        async with Behind(tmp_path, breaks_off) as behind, aiohttp.ClientSession() as client:
            with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
                async with client.get(f"{behind.url}/v1/jobs") as answer:
                    await answer.read()

    asyncio.run(scenario())


def test_requests_reach_the_functions_as_they_were_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Behind(tmp_path, echo) as behind, aiohttp.ClientSession() as client:
            body = b"x" * 3_000_000
            url = URL(f"{behind.url}/v1/checkpoints?q=a%2Cb&x=1+2", encoded=True)
            headers = {"Authorization": "Bearer mp_key", "TE": "trailers", "Keep-Alive": "timeout=5"}
            async with client.post(url, data=io.BytesIO(body), headers=headers) as answer:
                seen = await answer.json()
                assert answer.headers["X-Upstream"] == "yes"
            assert (seen["method"], seen["path"], seen["size"]) == (
                "POST",
                "/v1/checkpoints?q=a%2Cb&x=1+2",
                len(body),
            )
            assert seen["headers"]["Authorization"] == "Bearer mp_key"
            # What concerns the client's own connection stays there.
            assert not {"TE", "Keep-Alive"} & set(seen["headers"])
            assert seen["headers"]["Host"] == behind.url.removeprefix("http://")
            async with client.head(f"{behind.url}/health") as answer:
                assert answer.status == 200

    asyncio.run(scenario())


def test_postgrest_sees_the_path_and_the_filters_and_never_the_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Behind(tmp_path, echo) as behind, aiohttp.ClientSession() as client:
            key = behind.keys.secret_key
            url = URL(f"{behind.url}/rest/v1/jobs?select=a%2Cb&apikey={key}&id=eq.1", encoded=True)
            async with client.get(url, headers={"apikey": key}) as answer:
                seen = await answer.json()
        assert seen["path"] == "/jobs?select=a%2Cb&id=eq.1"
        assert key not in str(seen)
        claims = jwt.decode(
            seen["headers"]["Authorization"][7:], behind.keys.jwt_secret, algorithms=["HS256"]
        )
        assert claims["role"] == "service_role"

    asyncio.run(scenario())


def test_a_part_that_is_away_is_503_in_the_apis_shape(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Behind(tmp_path, echo) as behind, aiohttp.ClientSession() as client:
            behind.upstream_port = free_port()
            asked = {"/v1/jobs": "functions_unavailable", "/rest/v1/jobs": "database_unavailable"}
            for path, code in asked.items():
                headers = {"apikey": behind.keys.secret_key}
                async with client.get(behind.url + path, headers=headers) as answer:
                    body = await answer.json()
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
                assert set(body) == {"code", "message", "details", "hint"}
                assert body["code"] == code

    asyncio.run(scenario())


def test_files_of_the_page_are_served_with_their_types_and_nothing_outside(tmp_path: Path) -> None:
    public = tmp_path / "public"
    (public / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (public / "link.txt").symlink_to(tmp_path / "secret.txt")
    kinds = {
        "index.html": "text/html; charset=utf-8",
        "sub/app.js": "text/javascript; charset=utf-8",
        "module.mjs": "text/javascript; charset=utf-8",
        "style.css": "text/css; charset=utf-8",
        "mark.svg": "image/svg+xml",
        "data.json": "application/json; charset=utf-8",
        "page.webmanifest": "application/manifest+json",
        "type.woff2": "font/woff2",
        "unknown.zzz": "application/octet-stream",
    }
    for name in kinds:
        (public / name).write_text(name)

    (everywhere,) = json.loads((CHECKOUT / "vercel.json").read_text())["headers"]
    deployed = {header["key"]: header["value"] for header in everywhere["headers"]}
    assert "frame-ancestors 'none'" in deployed["Content-Security-Policy"]

    async def scenario() -> None:
        async with Behind(public, echo) as behind, httpx.AsyncClient(base_url=behind.url) as client:
            for name, kind in kinds.items():
                answer = await client.get(f"/{name}")
                assert (answer.text, answer.headers["content-type"]) == (name, kind)
                assert {name: answer.headers[name] for name in deployed} == deployed
            assert (await client.get("/")).text == "index.html"
            again = await client.get("/", headers={"If-None-Match": (await client.get("/")).headers["etag"]})
            assert again.status_code == 304
            for path in (
                "/missing",
                "/sub",
                "/link.txt",
                "/%2e%2e/secret.txt",
                "/..%2fsecret.txt",
                "/%2fetc/passwd",
            ):
                answer = await client.get(path)
                assert answer.status_code == 404, path
                assert answer.json()["code"] == "not_found"
            assert (await client.post("/index.html")).status_code == 405

    asyncio.run(scenario())
