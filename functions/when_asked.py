"""Functions whose modules are imported when they are first called."""

from importlib import import_module

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
