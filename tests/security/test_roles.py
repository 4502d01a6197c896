"""Promise 7, completely: every door that there is, asked by everybody, answers as docs/roles.md says."""

from doors import NOTHING, WRITES, arguments, at_route, first_words, outcome, relations, routes, rpcs
from matrix import Cells, differences, tables
from werkzeug.test import Client
from world import ACTORS, World

RPCS, READING, WRITING, ROUTES, TOPICS = (
    "Functions of the database",
    "Reading tables and views",
    "Writing tables and views",
    "HTTP",
    "Realtime topics",
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
