"""docs/packages.md says what is so."""

import re
import tomllib

from built import ROOT

from milepost.cli import _COMMANDS

PAGE = (ROOT / "docs/packages.md").read_text()


def test_every_command_is_in_the_table_once() -> None:
    cells = re.findall(r"^\| (`.*?) \| (?:yes|no)", PAGE, re.MULTILINE)
    named = [command for cell in cells for command in re.findall(r"`([a-z]+)`", cell)]
    named.remove("demo")  # with a server, and without one
    assert sorted(named) == sorted(_COMMANDS)


def test_every_extra_that_is_named_exists_and_brings_what_it_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = re.findall(r"^pip install '?milepost(?:\[(\w+)\]')? +# (.*)$", PAGE, re.MULTILINE)
    assert [extra for extra, _ in said] == ["", "cli", "tqdm"]
    for extra, comment in said:
        brings = project["optional-dependencies"][extra] if extra else project["dependencies"]
        for requirement in brings:
            assert re.split(r"[>\[]", requirement)[0] in comment
