"""The wire contract: what is refused, and in which words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.field_texts import Explained
from milepost import models
from milepost.models import NewJob, describe, describe_entries, many_checkpoints, one_checkpoint

FULL = {
    "job": "nightly-import",
    "kind": "csv_import",
    "name": "Nightly import",
    "unit": "rows",
    "worker": "host-1",
    "attempt": 1,
    "seq": 17,
    "at": "2026-11-22T01:02:03.123Z",
    "state": "running",
    "reason": None,
    "message": "chunk 17 of 40",
    "items_total": 2000000,
    "items_completed": 850000,
    "items_failed": 3,
    "items_skipped": 0,
    "items_canceled": 0,
    "bytes_processed": 123456789,
    "batch": {"items": 50000, "duration_ms": 812, "bytes": 7340032},
    "stage": {"name": "load", "items_total": 500, "items_completed": 100, "weight": 1, "state": "running"},
    "items": [{"key": "a.wav", "state": "completed", "percent": 100, "payload": {"gpu": "1"}, "error": None}],
    "cursor": {"offset": 850000},
    "rate_limited_until": None,
    "processing_deadline_ms": 3600000,
    "metadata": {"owner": "etl"},
}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_contracts_example_is_accepted() -> None:
    assert one_checkpoint.validate_json(json.dumps(FULL)).items_completed == 850000
    assert one_checkpoint.validate_python(FULL).model_dump(exclude_unset=True)["cursor"] == {"offset": 850000}


@pytest.mark.parametrize(
    "fields",
    [
        {"items_completed": 2**63 - 1},
        {"items_total": None},
        {"stage": [{"name": "a"}, {"name": "b", "state": "skipped"}]},
        {"cursor": None},
        {"cursor": "a\\u0000"},
        {"cursor": nested(32)},
        {"cursor": "x" * (16 * 1024 - 2)},
        {"cursor": {"[": "{" * 100}},
        {"job": "ü" * 200},
        {"at": "2026-11-22t01:02:03.123456z"},
        {"at": "2026-11-22T01:02:03+05:30"},
        {"batch": {"duration_ms": 0.5}},
        {"message": "two\nlines"},
    ],
)
def test_unusual_values_are_accepted(fields: dict[str, Any]) -> None:
    one_checkpoint.validate_python(FULL | fields)
    one_checkpoint.validate_json(json.dumps(FULL | fields))


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        (
            {"items_completed": "12"},
            "wrong_type",
            'items_completed: expected a whole number, found the text "12".',
        ),
        ({"items_completed": True}, "wrong_type", "items_completed: expected a whole number, found true."),
        (
            {"items_completed": 1.0},
            "wrong_type",
            "items_completed: expected a whole number, found the number 1.0.",
        ),
        ({"items_completed": None}, "wrong_type", "items_completed: expected a whole number, found null."),
        (
            {"items_completed": -1},
            "out_of_range",
            "items_completed: expected at least 0, found the number -1.",
        ),
        (
            {"items_completed": 2**63},
            "out_of_range",
            "items_completed: expected at most 9223372036854775807, found the number 9223372036854775808.",
        ),
        ({"job": 7}, "wrong_type", "job: expected text, found the number 7."),
        ({"job": ""}, "too_short", 'job: expected at least 1 character, found the text "".'),
        ({"job": "x" * 201}, "too_long", "job: expected at most 200 characters, found 201 characters."),
        (
            {"job": "a\nb"},
            "invalid_value",
            'job: expected text without control characters, found the text "a\\nb".',
        ),
        ({"rows": 1}, "unknown_field", "rows: no field of this name is known here."),
        ({"attempt": 0}, "out_of_range", "attempt: expected at least 1, found the number 0."),
        ({"metadata": []}, "wrong_type", "metadata: expected a JSON object, found an array of 0."),
        ({"stage": 3}, "wrong_type", "stage: expected a JSON object, found the number 3."),
        ({"stage": {"items_total": 3}}, "missing_field", "stage.name: expected a value, found none."),
        (
            {"stage": [{"name": "a"}, {"name": "b", "percent": 1}]},
            "unknown_field",
            "stage[1].percent: no field of this name is known here.",
        ),
        (
            {"items": [{"key": "a", "state": "failed", "percent": 100.5}]},
            "out_of_range",
            "items[0].percent: expected at most 100.0, found the number 100.5.",
        ),
        (
            {"batch": {"duration_ms": float("inf")}},
            "out_of_range",
            "batch.duration_ms: expected a finite number, found the number Infinity.",
        ),
        (
            {"batch": {"duration_ms": float("nan")}},
            "out_of_range",
            "batch.duration_ms: expected a finite number, found the number NaN.",
        ),
        ({"at": 1700000000}, "wrong_type", "at: expected text, found the number 1700000000."),
        (
            {"cursor": nested(33)},
            "invalid_value",
            "cursor: expected JSON nested at most 32 deep, found an array of 1.",
        ),
        (
            {"cursor": "x" * 16 * 1024},
            "too_long",
            "cursor: expected at most 16384 bytes of JSON, found 16386 bytes.",
        ),
        (
            {"message": "x" * 2001},
            "too_long",
            "message: expected at most 2000 characters, found 2001 characters.",
        ),
    ],
)
def test_a_refusal_says_what_was_expected_found_and_where(
    fields: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ValidationError) as from_python:
        one_checkpoint.validate_python(FULL | fields)
    with pytest.raises(ValidationError) as from_json:
        one_checkpoint.validate_json(json.dumps(FULL | fields))
    for refused in (from_python, from_json):
        refusal = describe(refused.value)
        assert (refusal.code, refusal.message) == (code, message)
        assert refusal.hint


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-22T01:02:03",
        "2026-11-22 01:02:03Z",
        "2026-11-22",
        "2026-02-30T00:00:00Z",
        "2026-11-22T25:00:00Z",
        "9999-12-31T23:59:59-05:00",
        "0001-01-01T00:00:00+05:00",
        "now",
        "infinity",
        "",
    ],
)
def test_a_moment_without_its_zone_or_that_never_was_is_refused(moment: str) -> None:
    with pytest.raises(ValidationError) as refused:
        one_checkpoint.validate_python({"job": "a", "rate_limited_until": moment})
    assert describe(refused.value).code == "invalid_timestamp"


@pytest.mark.parametrize(
    "value",
    ["a\0b", {"a\0": 1}, ["\\\0"], float("nan"), [float("-inf")], {"a": object()}, "\ud800", [10**5000]],
    ids=["text", "name", "nested", "nan", "infinity", "object", "surrogate", "digits"],
)
def test_what_a_database_cannot_store_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        one_checkpoint.validate_python({"job": "a", "cursor": value})
    refusal = describe(refused.value)
    assert refusal.code == "invalid_value"
    refusal.message.encode()


def test_each_refused_entry_is_named_by_its_index_and_the_others_are_not() -> None:
    entries = [FULL, {"job": "a", "seq": "1", "x": 1}, FULL, {}, 7]
    with pytest.raises(ValidationError) as refused:
        many_checkpoints.validate_python(entries)
    refusals = describe_entries(refused.value)
    assert {index: refusal.code for index, refusal in refusals.items()} == {
        1: "wrong_type",
        3: "missing_field",
        4: "wrong_type",
    }
    assert refusals[3].message == "job: expected a value, found none."


@pytest.mark.parametrize("body", ["[", "", "{", '[{"job": "a",}]'])
def test_what_is_no_json_is_malformed_as_a_whole(body: str) -> None:
    with pytest.raises(ValidationError) as refused:
        many_checkpoints.validate_json(body)
    assert describe_entries(refused.value) == {}
    assert describe(refused.value).code == "malformed_json"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda kids: st.lists(kids, max_size=3)
    )
)
def test_any_refusal_can_be_put_into_words(value: Any) -> None:
    for model in (models.Checkpoint, models.NewJob, models.Claim, models.Control, models.Priority):
        for field in model.model_fields:
            try:
                model.model_validate({"job": "a", "priority": 1, field: value})
            except ValidationError as error:
                code, message, hint = describe(error)
                assert code
                assert message
                assert hint


def test_a_new_job_may_say_all_that_the_contract_names() -> None:
    fields = {
        "job": "a",
        "kind": "k",
        "name": "n",
        "items_total": 1,
        "unit": "rows",
        "priority": -5,
        "max_attempts": 1,
        "run_after": "2026-11-22T01:02:03Z",
        "owner_id": "6b1c0000-0000-4000-8000-000000000000",
        "stages": [{"name": "scan", "items_total": None, "weight": 0}],
        "metadata": {},
        "stall_after_ms": 1,
        "processing_deadline_ms": 1,
        "retry_backoff_ms": 1,
        "workers_expected": 1,
        "start": False,
    }
    assert NewJob.model_validate(fields).model_dump(exclude_unset=True) == fields
    with pytest.raises(ValidationError) as refused:
        NewJob.model_validate(fields | {"owner_id": "me"})
    assert describe(refused.value).message == 'owner_id: expected a uuid, found the text "me".'


def test_answers_tolerate_what_this_version_does_not_know() -> None:
    answer = {"job_id": "1", "job": "a", "state": "running", "attempt": 1, "mood": "good", "workers": []}
    assert models.Job.model_validate(answer).model_extra == {"mood": "good"}


def test_every_field_is_described_for_the_document() -> None:
    for model in (models.Checkpoint, models.StageReport, models.ItemReport, models.NewJob, models.Batch):
        schema = model.model_json_schema(schema_generator=Explained)
        undescribed = [name for name, field in schema["properties"].items() if not field.get("description")]
        assert undescribed == []
