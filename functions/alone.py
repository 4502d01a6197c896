"""Each function by itself: `functions-framework --source functions/alone.py --target checkpoints`, and so on.

For who wants to scale, restrict or bill them apart. Each answers its own paths and refuses all others;
together they are what `main.py` serves as one.
"""

import sys
from collections.abc import Callable
from pathlib import Path

# functions-framework loads this file by its path and adds only its folder to sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from werkzeug.routing import Map
from werkzeug.wrappers import Request, Response

from functions import main, settings

if __name__ != "functions.alone":  # functions-framework executes this file as it starts to serve
    settings.check()

PATHS = {
    "checkpoints": ("/v1/checkpoints",),
    "events": ("/v1/events", "/progress/"),
    "health": ("/health", "/metrics"),
    "pings": ("/ping/",),
    "cron": ("/cron/",),
    "jobs": ("/v1/", "/openapi.json"),
}
"""Where the paths of each function begin; a path belongs to the first that has it."""


def _only(name: str) -> Callable[[Request], Response]:
    rules = [rule.empty() for rule in main.ROUTES.iter_rules() if owner(rule.rule) == name]
    routes = Map(rules, strict_slashes=True, merge_slashes=False)

    def function(request: Request) -> Response:
        return main.serve(request, routes)

    return function


def owner(path: str) -> str:
    """The function that answers this path."""
    return next(name for name, beginnings in PATHS.items() if path.startswith(beginnings))


checkpoints, events, health, pings, cron, jobs = map(_only, PATHS)
