"""A table of routes that costs a cold start little: what it names is imported when it is first called."""

from collections.abc import Callable
from importlib import import_module

from werkzeug.routing import Rule as WholeRule
from werkzeug.wrappers import Response


class Later:
    """The function `name` of a module that may not be imported yet."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: object, **kwargs: object) -> Response:
        answer: Response = getattr(import_module(self.module), self.name)(*args, **kwargs)
        return answer


class WhenAsked:
    """Stands for the module `functions.<name>` in a table of routes."""

    def __init__(self, name: str) -> None:
        self._module = f"functions.{name}"

    def __getattr__(self, function: str) -> Later:
        return Later(self._module, function)


class Rule(WholeRule):
    """A rule that is matched, and never turned into an address: compiling that took longer than all else."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        def build(*_: object) -> tuple[str, str]:
            raise NotImplementedError("No address is built from these rules.")

        return build
