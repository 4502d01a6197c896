"""One port with Supabase's own paths, before PostgREST, the Realtime stand-in, the functions and the page.

    /rest/v1/...                        PostgREST, the API key swapped for a role JWT
    /realtime/v1/...                    the Realtime stand-in, in this process
    /auth/v1/user, .well-known/jwks     what a JWT issued here says: no GoTrue, nobody can sign in
    /v1, /health, /metrics, ...         the functions
    /config.json                        where all of this is, for the page
    everything else                     files of public/

Answers are passed on chunk by chunk as they come, so that server-sent events flow.
"""

import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from milepost.local.keys import KeySwap
from milepost.local.ports import HOST

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SUPABASE_PATHS = ("/rest/v1/", "/auth/v1/", "/realtime/v1/")
FUNCTION_PATHS = ("v1", "health", "metrics", "ping", "cron", "openapi.json", "progress")
# All that is left of a path, also where a line feed is in it.
REST = "(?s:.*)"
# A connection's own headers, which no proxy may pass on.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Under gunicorn's own two seconds, so that a connection it is about to close is not used again.
KEEP_ALIVE_S = 1.5
WHOLE_ANSWER_BYTES = 256 * 1024

NO_KEY = {
    "message": "No API key found in request",
    "hint": "No `apikey` request header or url param was found.",
}
BAD_KEY = {
    "message": "Invalid API key",
    "hint": "Double check your Supabase `anon` or `service_role` API key.",
}
SECRET_IN_BROWSER = {
    "message": "Forbidden use of secret API key in browser",
    "hint": "Secret API keys can only be used in a protected environment and should never be used in a "
    "browser. Delete this secret API key immediately.",
}


class Gateway:
    """The routes. `postgrest_port` and `functions_port` say where those listen at the moment."""

    def __init__(
        self,
        swap: KeySwap,
        public: Path,
        postgrest_port: Callable[[], int],
        functions_port: Callable[[], int],
    ) -> None:
        self._swap = swap
        self._public = public.resolve()
        self._postgrest_port = postgrest_port
        self._functions_port = functions_port

    def add_routes(self, app: web.Application) -> None:
        """Adds every route but Realtime's own, which come before: the files take all that is left."""
        app.middlewares.append(_answer_preflights)
        app.on_response_prepare.append(_open_to_any_origin)
        app.cleanup_ctx.append(self._hold_session)
        app.router.add_route("*", f"/rest/v1/{{path:{REST}}}", self._rest)
        app.router.add_get("/auth/v1/user", self._user)
        app.router.add_get("/auth/v1/.well-known/jwks.json", self._jwks)
        for path in FUNCTION_PATHS:
            app.router.add_route("*", f"/{path}", self._function)
            app.router.add_route("*", f"/{path}/{{rest:{REST}}}", self._function)
        app.router.add_get("/config.json", self._page_config)
        app.router.add_get(f"/{{path:{REST}}}", self._file)

    async def _hold_session(self, app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as self._session:
            yield

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        token = self._token(request)
        if isinstance(token, web.Response):
            return token
        headers = _passed_on(request.headers)
        headers.popall("apikey", None)
        headers["Authorization"] = f"Bearer {token}"
        path, _, query = request.raw_path.removeprefix("/rest/v1").partition("?")
        # PostgREST would take the key for a filter on a column of that name.
        query = "&".join(part for part in query.split("&") if not part.startswith("apikey="))
        target = f"http://{HOST}:{self._postgrest_port()}{path}" + (f"?{query}" if query else "")
        return await self._forward(request, target, headers, "database_unavailable", "PostgREST")

    async def _function(self, request: web.Request) -> web.StreamResponse:
        target = f"http://{HOST}:{self._functions_port()}{request.raw_path}"
        headers = _passed_on(request.headers)
        return await self._forward(
            request, target, headers, "functions_unavailable", "The functions' process"
        )

    async def _user(self, request: web.Request) -> web.Response:
        """The user a token speaks for, from its claims alone."""
        token = self._token(request)
        if isinstance(token, web.Response):
            return token
        claims = self._swap.claims(token)
        if claims is None or "sub" not in claims:
            why = "invalid JWT" if claims is None else "invalid claim: missing sub claim"
            return web.json_response({"code": 403, "error_code": "bad_jwt", "msg": why}, status=403)
        issued_at = datetime.fromtimestamp(claims.get("iat", 0), UTC).isoformat()
        return web.json_response(
            {
                "id": claims["sub"],
                "aud": claims.get("aud", ""),
                "role": claims["role"],
                "email": claims.get("email", ""),
                "phone": "",
                "app_metadata": claims.get("app_metadata", {}),
                "user_metadata": claims.get("user_metadata", {}),
                "identities": [],
                "created_at": issued_at,
                "updated_at": issued_at,
                "is_anonymous": False,
            }
        )

    async def _jwks(self, request: web.Request) -> web.Response:
        """No public keys: tokens here are signed with the shared secret."""
        return web.json_response({"keys": []})

    async def _page_config(self, request: web.Request) -> web.Response:
        """What public/config.json says where the page is deployed: here it is all on this one port."""
        origin = str(request.url.origin())
        body = {
            "supabase_url": origin,
            "publishable_key": self._swap.publishable_key,
            "api_url": origin,
        }
        return web.json_response(body, headers={"Cache-Control": "no-cache"})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = (self._public / (request.match_info["path"] or "index.html")).resolve()
        if not path.is_relative_to(self._public) or not path.is_file():
            return _error(
                404, "not_found", f"There is nothing at {request.path}.", "Look at /openapi.json or at /."
            )
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
            kind += "; charset=utf-8"
        return web.FileResponse(path, headers={"Content-Type": kind, "Cache-Control": "no-cache"})

    def _token(self, request: web.Request) -> str | web.Response:
        """The JWT that a request acts under, or the refusal."""
        apikey = request.headers.get("apikey") or request.query.get("apikey")
        if not apikey:
            return web.json_response(NO_KEY, status=401)
        role_token = self._swap.role_token(apikey)
        if role_token is None:
            return web.json_response(BAD_KEY, status=401)
        if apikey.startswith("sb_secret_") and "Mozilla/" in request.headers.get("User-Agent", ""):
            return web.json_response(SECRET_IN_BROWSER, status=401)
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or bearer in ("", apikey):
            return role_token
        return web.json_response(BAD_KEY, status=401) if bearer.startswith("sb_") else bearer

    async def _forward(
        self, request: web.Request, target: str, headers: CIMultiDict[str], code: str, whose: str
    ) -> web.StreamResponse:
        try:
            answer = await self._session.request(
                request.method,
                URL(target, encoded=True),
                headers=headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            )
            async with answer:
                given = _passed_on(answer.headers)
                if answer.content_length is not None and answer.content_length <= WHOLE_ANSWER_BYTES:
                    body = await answer.read()
                    return web.Response(status=answer.status, reason=answer.reason, headers=given, body=body)
                response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=given)
                await response.prepare(request)
                try:
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionResetError):
                    # Half an answer must not look like a whole one; and a client may have left meanwhile.
                    if request.transport is not None:
                        request.transport.abort()
                return response
        except aiohttp.ClientConnectionError:
            return _error(
                503,
                code,
                f"{whose} does not answer.",
                "It is being started again; repeat the request.",
                {"Retry-After": "1"},
            )


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)


def _error(
    status: int, code: str, message: str, hint: str, headers: dict[str, str] | None = None
) -> web.Response:
    body = {"code": code, "message": message, "details": None, "hint": hint}
    return web.json_response(body, status=status, headers=headers)


@web.middleware
async def _answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A preflight carries no key, so it is answered here."""
    asked = request.headers.get("Access-Control-Request-Method")
    if request.method != "OPTIONS" or asked is None or not request.path.startswith(SUPABASE_PATHS):
        return await handler(request)
    return web.Response(
        headers={
            "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT",
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
            "Access-Control-Max-Age": "3600",
        }
    )


async def _open_to_any_origin(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(SUPABASE_PATHS):
        response.headers.setdefault("Access-Control-Allow-Origin", "*")
        response.headers.setdefault(
            "Access-Control-Expose-Headers", "Content-Range, Content-Location, Location"
        )
