"""What the documents say is there, is there; and every block of them is run by some test."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from documents import ROOT, Block, blocks

import milepost
from functions.main import ROUTES
from milepost.cli import main as cli

_CODE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"\.?[\w-][\w.-]*(/[\w.*-]+)*\*?")
# Of names without a folder only those that are hardly a reader's own.
_OURS = re.compile(r"test_\w+\.py|[\w.-]+\.(md|sql|lock)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
# What is made, not kept.
_MADE = {".venv", "node_modules", "public/vendor"}
_WITHOUT = {".git", ".venv", "node_modules", "vendor", "__pycache__"}


@cache
def files() -> frozenset[str]:
    """Every file and folder of the project, from its root."""
    found = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in _WITHOUT and not name.endswith("_cache")]
        for name in [*folders, *names]:
            found.add(str(Path(folder, name).relative_to(ROOT)))
    return frozenset(found)


DOCUMENTS = sorted(ROOT / name for name in files() if name.endswith(".md"))
every_document = pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    """A page without its fenced blocks."""
    return _CODE.sub("", page.read_text())


@every_document
def test_every_path_that_a_document_names_exists(page: Path) -> None:
    top, anywhere = {name.split("/")[0] for name in files()}, {Path(name).name for name in files()}
    modules = re.findall(r"`python -m (benchmarks|functions|milepost)([\w.]*)", page.read_text())
    words = [word for span in _SPAN.findall(text_of(page)) for word in span.split()]
    for word in [*words, *((root + rest).replace(".", "/") + "*" for root, rest in modules)]:
        name = word.split("::")[0].rstrip("/")
        if not _NAME.fullmatch(name) or name in _MADE:
            continue
        if name.split("/")[0] not in top if "/" in name else not _OURS.fullmatch(name):
            continue
        assert any(ROOT.glob(name)) or name in anywhere, (
            f"{page.relative_to(ROOT)} names `{name}`, which is no file or folder of the project. Correct the "
            "name; if it is the reader's own file, write it without backquotes or in a fenced block."
        )


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", text_of(page), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = "".join(letter for letter in text if letter.isalnum() or letter in " -_").replace(" ", "-")
        number = 0
        while (numbered := f"{anchor}-{number}" if number else anchor) in anchors:
            number += 1
        anchors.add(numbered)
    return anchors


@every_document
def test_every_link_of_a_document_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(re.sub(r"`[^`\n]*`", "", text_of(page))):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else Path(os.path.normpath(page.parent / path))
        where = f"{page.relative_to(ROOT)} links to {link}"
        assert target.exists(), f"{where}, and there is no such file."
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), (
                f"{where}, and {target.relative_to(ROOT)} has only these headings: {sorted(anchors_of(target))}."
            )


def test_every_page_is_in_the_index_once_and_the_index_is_in_the_readme() -> None:
    linked = [
        link for link in _LINK.findall((ROOT / "docs/README.md").read_text()) if not link.startswith("../")
    ]
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")} - {"README.md"}
    assert sorted(linked) == sorted(pages)
    assert "(docs/README.md)" in (ROOT / "README.md").read_text()


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in DOCUMENTS
        for target in re.findall(r"(?:^|`)make ([a-z-]+)(?:`|$)", page.read_text(), re.MULTILINE)
    }
    assert named
    assert not named - targets, f"The Makefile has no {named - targets}; it has {targets}."


@every_document
def test_every_command_that_a_document_names_exists_with_its_options(page: Path) -> None:
    spans = [span for span in _SPAN.findall(text_of(page)) if span.startswith("milepost ")]
    for span in spans:
        # What follows is another program's, or the shell's; brackets say that it may be left out.
        words = re.sub(r"[\[\]]", "", re.split(r" -- | [>|] ", span)[0]).split()[1:]
        command: click.Command | None = cli
        while isinstance(command, click.Group) and words and words[0].islower():
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, f"{page.relative_to(ROOT)}: `{span}` is no command of milepost."
        known = {name for option in command.params for name in [*option.opts, *option.secondary_opts]}
        unknown = {word for word in words if word.startswith("-")} - known - {"--help", "--"}
        assert not unknown, f"{page.relative_to(ROOT)}: `{span}` has no {unknown}; it has {sorted(known)}."


@every_document
def test_every_object_that_a_document_names_exists(page: Path) -> None:
    schema = "\n".join(file.read_text() for file in ROOT.glob("sql/schema/*.sql"))
    in_database = set(re.findall(r"\b(milepost(?:_private)?\.\w+)", schema))
    for span in _SPAN.findall(text_of(page)):
        for name, tail in re.findall(r"(?<![\w/.-])(milepost(?:_private)?\.(\w+))", span):
            is_python = name.startswith("milepost.") and (
                hasattr(milepost, tail) or f"milepost/{tail}.py" in files()
            )
            assert name in in_database or is_python, (
                f"{page.relative_to(ROOT)} names `{name}`, which is neither in sql/schema nor in the package."
            )


@every_document
def test_every_address_that_a_document_names_is_served(page: Path) -> None:
    roots = r"/(?:v1|health|metrics|progress|ping|cron|openapi\.json)"
    address = re.compile(rf"(?:(GET|POST) )?({roots}(?:/[^\s?]*)?)(\?\S*)?")
    routes = ROUTES.bind("api")
    for span in _SPAN.findall(text_of(page)):
        if found := address.fullmatch(span):
            # A name in braces stands for anything; 1 is a job's key, an id and an exit status.
            path = re.sub(r"\{[^}]*\}", "1", re.sub(r"(…|\.\.\.)$", "", found[2]))
            methods = set(routes.allowed_methods(path))
            is_family = any(rule.rule.startswith(path.rstrip("/") + "/") for rule in ROUTES.iter_rules())
            assert found[1] in methods if found[1] else methods or is_family, (
                f"{page.relative_to(ROOT)} names `{span}`, which is not served; GET /openapi.json lists what is."
            )


@cache
def texts_of_suites() -> dict[str, frozenset[str]]:
    """Of each folder of tests every text in its code."""
    texts: dict[str, set[str]] = {}
    for module in ROOT.glob("tests/*/*.py"):
        found = texts.setdefault(module.parent.name, set())
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return {suite: frozenset(found) for suite, found in texts.items()}


def is_run(page: str, block: Block) -> bool:
    """Whether a suite that reads the page, by its path or its folder's, takes this block by its name.

    A block without a name is taken by a pattern that looks for its fence.
    """
    folder = str(Path(page).parent)
    ways = {page} | ({folder} if "/" in folder else set())
    return any(
        block.name in texts if block.name else any(f"```{block.language}" in text for text in texts)
        for texts in texts_of_suites().values()
        if ways & texts
    )


@every_document
def test_every_block_of_a_document_is_run_or_says_why_not(page: Path) -> None:
    path = str(page.relative_to(ROOT))
    for block in blocks(path):
        where = f"{path}, line {block.line}"
        assert block.language, f"{where}: the block has no language; say ```text if nothing of it can be run."
        says_why = block.language == "text" or re.search(r"\bNot run\b.*: *\S", block.before)
        assert says_why or is_run(path, block), (
            f"{where}: no test runs this block. Either give it a name (```{block.language} my-name) and run it "
            f'by "my-name" in tests that read "{path}" (documents.named and documents.run in tests/documents.py '
            "do it), or tell the reader in the line right before it: `Not run by a test: <why>.`"
        )


def test_the_reference_of_the_api_is_what_the_functions_serve() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/reference.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_changelog_speaks_of_this_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0].startswith(milepost.__version__)


def test_dependencies_are_pinned_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([a-z0-9_.-]+)==", lock, re.MULTILINE)
    assert len(pins) > 20
    for block in re.split(r"\n(?=[a-z0-9_.-]+==)", lock)[1:]:
        assert "--hash=sha256:" in block
