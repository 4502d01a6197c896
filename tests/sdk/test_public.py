"""The public surface is a list, and exceptions are a tree."""

import inspect
import tomllib
from pathlib import Path

import milepost
from milepost import errors


def test_the_public_names_are_these() -> None:
    public = {
        name
        for name in vars(milepost)
        if not name.startswith("_") and not inspect.ismodule(vars(milepost)[name])
    }
    assert public == set(milepost.__all__)


def test_the_version_is_the_project_s() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert milepost.__version__ == project["project"]["version"]


def test_every_exception_is_in_the_tree_and_says_something_by_itself() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]
    for kind in kinds:
        assert issubclass(kind, errors.MilepostError)
        assert kind.__name__ in (errors.__doc__ or "")
        assert str(kind()) == (kind.__doc__ or "").split("\n")[0]
