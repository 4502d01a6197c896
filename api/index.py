"""Where Vercel enters: the functions as a WSGI app, with what `api/requirements.txt` pins."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from functions import settings, wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

settings.check()


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answers one request."""
    # Vercel's runtime gives the path as it was sent; WSGI (PEP 3333) has it without percent signs.
    environ["PATH_INFO"] = unquote(environ["PATH_INFO"], "latin-1")
    return wsgi.app(environ, start_response)
