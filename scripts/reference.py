"""Writes docs/api.md, the reference of the HTTP API, from the OpenAPI document that the functions serve.

`make docs` runs it; with --check it only says whether the page is current.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from functions import openapi  # noqa: E402 - after the checkout is on the path

PAGE = ROOT / "docs/api.md"
Json = dict[str, Any]

INTRODUCTION = """# The HTTP API

<!-- Made by `make docs` from GET /openapi.json; edit functions/openapi.py and milepost/models.py instead. -->

The same as a document for programs: `GET /openapi.json`. Bodies and answers are JSON, times RFC 3339 in UTC.
Unless said otherwise a path takes `Authorization: Bearer` with a Milepost key (`mp_...`) or a signed-in
Supabase user's token; members of several tenants say which they mean by `X-Milepost-Tenant`. What is refused
has one shape, and [ERRORS.md](../ERRORS.md) lists the codes; any request may be answered 401, 403, 429, 500
or 503 as it says. A list's `next` is the `after` of its next page, and null at the end. An array in a query
is written with commas.
"""
WITHOUT_A_KEY = {
    "none": "Needs no key.",
    "optional": "Takes a key and needs none.",
    "cron": "Needs `CRON_SECRET` as its bearer token.",
}


def page() -> str:
    """The whole page."""
    document = json.loads(openapi._document())
    lines = [INTRODUCTION, *_overview(document), *_paths(document), *_objects(document)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _sections(document: Json) -> Iterator[tuple[str, Json]]:
    """Each operation with its title; methods that do the same are one."""
    for path, methods in document["paths"].items():
        alike: dict[tuple[str, bool], list[str]] = {}
        for method, operation in methods.items():
            alike.setdefault((operation["summary"], "requestBody" in operation), []).append(method)
        for names in alike.values():
            yield f"{'/'.join(names).upper()} {path}", methods[names[0]]


def _overview(document: Json) -> Iterator[str]:
    yield from ("## All paths", "", "| path | does |", "| --- | --- |")
    for title, operation in _sections(document):
        yield f"| [{title}](#{_anchor(title)}) | {_cell(operation['summary'])} |"
    yield ""


def _paths(document: Json) -> Iterator[str]:
    yield from ("## Each path", "")
    security = {f"{one.method} {one.path}": one.security for one in openapi.OPERATIONS}
    for title, operation in _sections(document):
        yield from (f"### {title}", "", f"{operation['summary']}.", "")
        if needs := WITHOUT_A_KEY.get(security[operation["operationId"]]):
            yield from (needs, "")
        if rows := [*_parameters(operation)]:
            yield from ("| parameter | in | is |", "| --- | --- | --- |", *rows, "")
        if body := operation.get("requestBody"):
            optional = "" if body["required"] else " It may be left out."
            yield from (f"Body: {_type(body['content']['application/json']['schema'])}.{optional}", "")
        yield from (*_answers(operation["responses"]), "")


def _parameters(operation: Json) -> Iterator[str]:
    for one in operation["parameters"]:
        what = f"{_type(one['schema'])}{_limits(one['schema'])}. {_cell(one['description'])}"
        yield f"| `{one['name']}` | {one['in']} | {what} |"


def _answers(responses: Json) -> Iterator[str]:
    for status, response in responses.items():
        if "$ref" in response:  # a refusal that many paths have
            continue
        content: Json = response.get("content", {})
        shapes = [
            _type(media["schema"]) if media_type == "application/json" else f"`{media_type}`"
            for media_type, media in content.items()
        ]
        meaning = [] if response["description"] == "Success." else [response["description"]]
        yield f"- {status}: {'. '.join(shapes + meaning)}"


def _objects(document: Json) -> Iterator[str]:
    yield from ("## Objects", "")
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from (f"### {name}", "")
        if "description" in schema:
            yield from (" ".join(schema["description"].split()), "")
        yield from ("| field | type | is |", "| --- | --- | --- |")
        # What is sent is strict, and says what it needs; an answer has all of its fields.
        needed = schema.get("required", []) if schema.get("additionalProperties") is False else []
        for field, what in schema.get("properties", {}).items():
            mark = " Needed." if field in needed else ""
            yield f"| `{field}` | {_type(what)}{_limits(what)} | {_cell(what.get('description', ''))}{mark} |"
        yield ""


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{_anchor(name)})"
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}" if schema.get("items") else "array"
    kind = schema.get("type", "any JSON")
    return str(schema["format"]) if "format" in schema else str(kind)


def _limits(schema: Json) -> str:
    said = []
    options = [schema, *schema.get("anyOf", [])]
    for words, key in (("from", "minimum"), ("to", "maximum"), ("at most", "maxLength")):
        for option in options:
            if key in option and abs(option[key]) < 10**12:
                said.append(f"{words} {option[key]:,}" + (" characters" if key == "maxLength" else ""))
    if schema.get("default") not in (None, [], {}):
        said.append(f"default `{json.dumps(schema['default'])}`")
    return f", {', '.join(said)}" if said else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


if __name__ == "__main__":
    if "--check" in sys.argv:
        if PAGE.read_text() != page():
            sys.exit("docs/api.md is not what functions/openapi.py says: run `make docs` and commit it.")
    else:
        PAGE.write_text(page())
