"""What the documents say is there, is there."""

import re
from pathlib import Path

import pytest

import milepost

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_PATH = re.compile(r"`([A-Za-z_.][\w.-]*(?:/[\w.-]*)+|[\w-]+\.(?:md|toml|json|sql|py))`")
_LINK = re.compile(r"\]\(((?!https?:|#)[^)\s]+)\)")
_CODE = re.compile(r"```.*?```", re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    text = _CODE.sub("", document.read_text())
    top = {path.name for path in ROOT.iterdir()}
    named = {name for name in _PATH.findall(text) if name.split("/")[0] in top}
    missing = {name for name in named if not (ROOT / name).exists()}
    missing |= {link for link in _LINK.findall(text) if not (document.parent / link.split("#")[0]).exists()}
    assert not missing


def test_every_page_is_in_the_index_once_and_the_index_is_in_the_readme() -> None:
    linked = [
        link for link in _LINK.findall((ROOT / "docs/README.md").read_text()) if not link.startswith("../")
    ]
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")} - {"README.md"}
    assert sorted(linked) == sorted(pages)
    assert "(docs/README.md)" in (ROOT / "README.md").read_text()


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target for document in DOCUMENTS for target in re.findall(r"`make ([a-z]+)`", document.read_text())
    }
    named |= {
        target
        for document in DOCUMENTS
        for target in re.findall(r"^make ([a-z]+)$", document.read_text(), re.M)
    }
    assert named and named <= targets


def test_the_changelog_speaks_of_this_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0].startswith(milepost.__version__)


def test_dependencies_are_pinned_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([a-z0-9_.-]+)==", lock, re.MULTILINE)
    assert len(pins) > 20
    for block in re.split(r"\n(?=[a-z0-9_.-]+==)", lock)[1:]:
        assert "--hash=sha256:" in block
