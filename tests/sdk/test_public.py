"""The public surface is a list, and exceptions are a tree."""

import inspect

import pytest

import milepost
from milepost import errors


def test_the_public_names_are_these() -> None:
    public = {
        name
        for name in vars(milepost)
        if not name.startswith("_") and not inspect.ismodule(vars(milepost)[name])
    }
    assert public == set(milepost.__all__)


@pytest.mark.parametrize("name", milepost.__all__)
def test_every_public_name_says_what_it_is(name: str) -> None:
    public = getattr(milepost, name)
    assert public.__doc__
    if inspect.isclass(public):
        for member, value in inspect.getmembers(public):
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                assert value.__doc__, f"{name}.{member}"


def test_every_exception_is_in_the_tree_and_says_something_by_itself() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]
    for kind in kinds:
        assert issubclass(kind, errors.MilepostError)
        assert kind.__name__ in (errors.__doc__ or "")
        assert str(kind()) == (kind.__doc__ or "").split("\n")[0]
