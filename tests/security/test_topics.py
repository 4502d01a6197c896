"""Who may join which Realtime topic, and what those hear who joined something else."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from cast import ACTORS
from matrix import Cells, differences, tables
from running_stack import RunningStack
from topics import Hall, start_job


@pytest.fixture(scope="module")
def hall(stack: RunningStack) -> Hall:
    return Hall.of(stack)


async def replies(hall: Hall, actors: Sequence[str], topics: Sequence[str]) -> dict[tuple[str, str], Any]:
    """What each is answered to joining each topic. All at once, since a refusal takes its time, as on the real server."""

    async def reply(actor: str, topic: str) -> dict[str, Any]:
        async with hall.socket(actor) as socket:
            return await socket.join(topic)

    asked = [(actor, topic) for actor in actors for topic in topics]
    answers = await asyncio.gather(*(reply(actor, topic) for actor, topic in asked))
    return dict(zip(asked, answers, strict=True))


@pytest.fixture(scope="module")
def pairs(hall: Hall) -> dict[str, tuple[str, str]]:
    """Each kind of topic: ours, and its like that never was."""
    return {name: (topic, f"{name.split(':')[0]}:{uuid.uuid4()}") for name, topic in hall.topics().items()}


@pytest.fixture(scope="module")
def said(hall: Hall, pairs: dict[str, tuple[str, str]]) -> dict[tuple[str, str], Any]:
    return asyncio.run(replies(hall, ACTORS, [topic for pair in pairs.values() for topic in pair]))


def test_every_topic_is_joined_by_whom_the_document_says(
    pairs: dict[str, tuple[str, str]], said: dict[tuple[str, str], Any]
) -> None:
    found: dict[str, Cells] = {
        name: {actor: "yes" if said[actor, ours]["status"] == "ok" else "no" for actor in ACTORS}
        for name, (ours, _) in pairs.items()
    }
    assert differences(tables()["Realtime topics"], found) == []


@pytest.mark.parametrize("who", ["anonymous", "stranger", "worker key"])
def test_joining_a_foreign_topic_and_an_absent_one_are_refused_in_the_same_words(
    pairs: dict[str, tuple[str, str]], said: dict[tuple[str, str], Any], who: str
) -> None:
    for foreign, absent in pairs.values():
        answer = str(said[who, foreign]).replace(foreign, "<topic>")
        assert answer == str(said[who, absent]).replace(absent, "<topic>")
        assert "'status': 'error'" in answer


def test_who_listens_beside_the_private_topics_hears_of_no_foreign_job(
    hall: Hall, stack: RunningStack
) -> None:
    """A public channel of the same name, and changes of the table: the stranger's own job shows that they work."""
    theirs = stack.sql(
        "select tenant_id from milepost.members where user_id = %s", (hall.tenant.stranger.user_id,)
    )
    own = start_job(stack, str(theirs[0]["tenant_id"]))
    changes = [{"event": "*", "schema": "milepost", "table": "jobs"}]

    async def listen() -> str:
        async with hall.socket("stranger") as socket:
            assert (await socket.join(f"job:{hall.job_id}", private=False))["status"] == "ok"
            assert (await socket.join("anything", private=False, postgres_changes=changes))["status"] == "ok"
            await socket.hear_of("Subscribed to PostgreSQL")
            # The joins' own replies name the topic.
            socket.heard.clear()
            for job_id in (hall.job_id, own):
                moved = "update milepost.jobs set message = 'moved' where job_id = %s"
                await asyncio.to_thread(stack.sql, moved, (job_id,))
            return await socket.hear_of(own)

    assert hall.job_id not in asyncio.run(listen())
