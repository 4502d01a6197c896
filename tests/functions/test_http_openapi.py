"""The OpenAPI document describes what the functions serve: all of it, and nothing else."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fake_postgrest import FakePostgrest
from werkzeug.test import Client

from functions.main import ROUTES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def document(api: Client) -> dict[str, Any]:
    response = api.get("/openapi.json")
    assert response.status_code == 200
    result: dict[str, Any] = response.get_json()
    return result


def test_it_needs_neither_a_key_nor_the_database(document: dict[str, Any], fake: FakePostgrest) -> None:
    assert document["openapi"].startswith("3.1")
    assert fake.calls == []


def test_it_has_every_route_and_no_other(document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in ROUTES.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == served


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_every_refusal_has_the_one_shape(document: dict[str, Any]) -> None:
    shape = {"$ref": "#/components/schemas/ErrorBody"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    name = response.get("$ref", "").rsplit("/", 1)[-1]
                    found = document["components"]["responses"][name] if name else response
                    assert found["content"]["application/json"]["schema"] == shape, (path, method, status)


def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            described = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path))


def test_every_field_of_a_checkpoint_is_explained(document: dict[str, Any]) -> None:
    for name, field in document["components"]["schemas"]["Checkpoint"]["properties"].items():
        assert field.get("description"), name


def test_its_version_is_the_packages(document: dict[str, Any]) -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert document["info"]["version"] == package["version"]
