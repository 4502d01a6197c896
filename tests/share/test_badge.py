"""The badge: what it says, what it looks like as XML, and who gets it."""

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_stack import Tenant
from sharing import Asking, refused

from functions.badge import draw, status

SVG = "{http://www.w3.org/2000/svg}"
JOB: dict[str, Any] = {
    "name": "Nightly import",
    "state": "running",
    "liveness": "on_time",
    "percent_complete": 42.9,
    "eta_ms": 500_000,
    "rate_limited": False,
}


def drawn(**changes: Any) -> ElementTree.Element:
    return ElementTree.fromstring(draw(JOB | changes))  # noqa: S314 - our own


def texts(image: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in image.iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("changes", "said", "tone"),
    [
        ({}, "42% · 8 min left", "running"),
        ({"eta_ms": 7_900_000}, "42% · 2.2 h left", "running"),
        ({"eta_ms": 400}, "42% · 1 s left", "running"),
        ({"percent_complete": 99.99, "eta_ms": None}, "99%", "running"),
        ({"percent_complete": None, "eta_ms": None}, "running", "running"),
        ({"state": "completing", "percent_complete": 100, "eta_ms": None}, "100%", "running"),
        ({"liveness": "late"}, "42% · 8 min left", "late"),
        ({"liveness": "stalled", "eta_ms": None}, "42% · stalled", "stalled"),
        ({"rate_limited": True}, "42% · rate limited", "running"),
        ({"state": "paused", "eta_ms": None}, "paused · 42%", "paused"),
        ({"state": "pending", "percent_complete": None, "eta_ms": None}, "pending", "pending"),
        ({"state": "completed", "percent_complete": 100, "eta_ms": None}, "completed", "completed"),
        ({"state": "completed", "percent_complete": 98.9, "eta_ms": None}, "completed at 98%", "completed"),
        ({"state": "failed", "eta_ms": None}, "failed at 42%", "failed"),
        ({"state": "canceled", "percent_complete": None, "eta_ms": None}, "canceled", "canceled"),
    ],
)
def test_it_says_how_far_or_how_it_ended(changes: dict[str, Any], said: str, tone: str) -> None:
    assert status(JOB | changes) == (said, tone)
    assert texts(drawn(**changes)) == ["Nightly import", said]


def test_it_has_a_name_for_those_who_cannot_see_it() -> None:
    image = drawn()
    assert image.get("role") == "img"
    assert image.get("aria-label") == image.findtext(f"{SVG}title") == "Nightly import: 42% · 8 min left"


@given(name=st.text(), kind=st.sampled_from(["failed", "running"]))
def test_whatever_the_name_is_the_image_is_whole(name: str, kind: str) -> None:
    image = drawn(name=name, state=kind)
    assert {element.tag.removeprefix(SVG) for element in image.iter()} == {
        "svg",
        "title",
        "clipPath",
        "rect",
        "g",
        "text",
    }
    assert len(texts(image)[0]) <= 40
    label, said = image.iter(f"{SVG}text")
    ends = float(label.get("x", "")) + float(label.get("textLength", ""))
    assert ends < float(said.get("x", "")) < float(image.get("width", ""))


def test_markup_in_a_name_stays_text() -> None:
    image = drawn(name='<script>"&')
    assert texts(image)[0] == '<script>"&'
    assert image.get("aria-label") == '<script>"&: 42% · 8 min left'


def test_it_is_for_keys_tokens_and_share_links(api: Asking, tenant: Tenant) -> None:
    job_id = api.paused(tenant, "import/a", name="Import A", items_total=4, items_completed=1)
    path = "/v1/jobs/import/a/badge.svg"
    token = api.share(tenant, job_id)["token"]
    for who, where in (
        (tenant.worker_key, path),
        (tenant.teammate.jwt, path),
        (None, f"{path}?share={token}"),
        (None, f"/v1/jobs/{job_id}/badge.svg?share={token}"),
    ):
        answer = api.get(where, who)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
        assert "Authorization" in answer.headers["Vary"]
        assert answer.headers["Cache-Control"] == ("public" if who is None else "private") + ", max-age=30"
        assert texts(ElementTree.fromstring(answer.text)) == ["Import A", "paused · 25%"]  # noqa: S314
    refused(api.get(path), 401, "key_required")
    refused(api.get(path, tenant.stranger.jwt), 404, "job_not_found")
    refused(api.get(f"{path}?share={token}&colour=red"), 422, "unknown_field")


def test_it_is_sent_again_only_when_it_looks_different(api: Asking, tenant: Tenant) -> None:
    api.paused(tenant, "import", items_total=4, items_completed=1)
    path = f"/v1/jobs/import/badge.svg?share={api.share(tenant, 'import')['token']}"
    etag = {"If-None-Match": api.get(path).headers["ETag"]}
    assert api.get(path, **etag).status_code == 304
    api.checkpoint(tenant, job="import", items_completed=2)
    assert "50%" in api.get(path, **etag).text
