"""Promise 7, completely: every door that there is, asked by everybody, answers as docs/roles.md says."""

import doors
import pytest
from cast import ACTORS, World
from doors import NOTHING, WRITES, arguments, at_route, first_words, outcome, relations, routes, rpcs
from matrix import Cells, differences, tables
from werkzeug.routing import Map, Rule
from werkzeug.test import Client

RPCS, READING, WRITING, ROUTES = (
    "Functions of the database",
    "Reading tables and views",
    "Writing tables and views",
    "HTTP",
)


def asked_rpcs(world: World) -> dict[str, Cells]:
    found = {}
    for rpc, needed in rpcs(world).items():
        asked = arguments(world, rpc, needed)
        answers = {actor: world.call(actor, rpc, asked) for actor in ACTORS}
        found[rpc] = {
            actor: outcome(world, f"rpc {rpc}", answer.status_code, answer.text)
            for actor, answer in answers.items()
        }
    return found


def asked_relations(world: World) -> dict[str, Cells]:
    found = {}
    for relation in relations(world):
        answers = {actor: world.ask(actor, "GET", relation) for actor in ACTORS}
        found[relation] = {
            actor: outcome(world, relation, answer.status_code, answer.text)
            for actor, answer in answers.items()
        }
    return found


def written_relations(world: World) -> dict[str, Cells]:
    """What POST, PATCH and DELETE are answered; several answers where they differ."""

    def word(actor: str, relation: str) -> str:
        said = []
        for method in WRITES:
            answer = world.ask(actor, method, relation, NOTHING if method != "POST" else "")
            code = None if answer.is_success else answer.json()["code"]
            # Values are missing, which is found after the permission.
            said.append(
                "yes"
                if code in (None, "23502")
                else "read only"
                if code == "55000"
                else str(answer.status_code)
            )
        return ", ".join(sorted(set(said)))

    return {relation: {actor: word(actor, relation) for actor in ACTORS} for relation in relations(world)}


def asked_routes(world: World, api: Client) -> dict[str, Cells]:
    found: dict[str, Cells] = {}
    for route in routes():
        found[route] = {}
        for actor in (*ACTORS, "scheduler"):
            answer = at_route(world, api, actor, route)
            found[route][actor] = outcome(world, route, answer.status_code, first_words(answer))
    return found


def test_every_function_of_the_database_answers_each_as_the_document_says(world: World) -> None:
    assert differences(tables()[RPCS], asked_rpcs(world)) == []


def test_every_table_and_view_shows_each_what_the_document_says(world: World) -> None:
    assert differences(tables()[READING], asked_relations(world)) == []


def test_every_table_and_view_is_written_by_whom_the_document_says(world: World) -> None:
    assert differences(tables()[WRITING], written_relations(world)) == []


def test_every_route_answers_each_as_the_document_says(world: World, api: Client) -> None:
    assert differences(tables()[ROUTES], asked_routes(world, api)) == []


def test_what_is_added_later_has_to_be_said_in_the_document(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.database.undone():
        world.database.rows(
            "create function milepost.later() returns int language sql as 'select 1'; "
            "create table milepost.later (tenant_id uuid)"
        )
        assert "later" in rpcs(world)
        assert "later" in relations(world)
    later = Map([Rule("/v1/later/<int:number>", methods=["GET"], endpoint=None)])
    monkeypatch.setattr(doors, "ROUTES", later)
    assert routes() == ["GET /v1/later/{number}"]


def test_the_document_and_the_doors_are_compared_both_ways() -> None:
    said = {"a": {"viewer": "yes", "admin": "yes"}, "gone": {"viewer": "403"}}
    found = {"a": {"viewer": "403", "admin": "yes"}, "new": {"viewer": "yes"}}
    assert differences(said, found) == [
        "a, viewer: docs/roles.md says yes, and it is 403",
        "gone: is in docs/roles.md, and there is no such door",
        "new: is not in docs/roles.md; add: | `new` | yes |",
    ]


def test_what_is_granted_to_users_is_what_the_document_has_them_get(world: World) -> None:
    """A grant too many may stay unseen where row level security refuses the same; one too few is seen above."""
    granted = {
        row["name"]
        for row in world.database.rows(
            "select p.proname as name from pg_proc p where p.pronamespace = 'milepost'::regnamespace "
            "and has_function_privilege('authenticated', p.oid, 'execute') "
            "union all select c.relname from pg_class c where c.relnamespace = 'milepost'::regnamespace "
            "and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and not c.relispartition "
            "and has_any_column_privilege('authenticated', c.oid, 'select')"
        )
    }
    said = tables()[RPCS] | tables()[READING]
    assert granted == {door for door, cells in said.items() if cells["admin"] not in ("401", "403")}
