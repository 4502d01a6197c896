"""Rules of the table of routes: what one leads to is imported when first asked for, for a quick start."""

from collections.abc import Callable
from importlib import import_module

from werkzeug.routing import Rule as WholeRule
from werkzeug.wrappers import Response


class Rule(WholeRule):
    """A rule that is matched, and never turned into an address: compiling that took longer than all else."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        def build(*_: object) -> tuple[str, str]:
            raise NotImplementedError("No address is built from these rules.")

        return build


def function(endpoint: str) -> Callable[..., Response]:
    """What answers: `jobs.search` is the function `search` of functions/jobs.py."""
    module, name = endpoint.split(".")
    answers: Callable[..., Response] = getattr(import_module(f"functions.{module}"), name)
    return answers
