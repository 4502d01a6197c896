"""ERRORS.md lists the codes that the functions, the models and the database give, and no other."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from documents import ROOT, named

from milepost.models import ErrorBody

REFUSALS = {
    "Malformed",
    "Unauthorized",
    "NotFound",
    "WrongMethod",
    "TooLarge",
    "WrongMediaType",
    "Invalid",
    "Elsewhere",
    "Refusal",
}


def codes_of_python(path: Path) -> Iterator[str]:
    """First arguments of refusals: `Malformed("code", ...)`, `super().__init__("code", ...)`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            text = node.args[0].value
            if (name in REFUSALS or name in ("refusal", "__init__")) and isinstance(text, str):
                yield text


def codes_of_sql(text: str) -> Iterator[str]:
    """What is raised, `refuse(409, 'code', ...)`, and said of entries, `case e.refusal when 'code'`."""
    yield from re.findall(r"refuse\(\s*\d+,\s*'([a-z_]+)'", text)
    for words in re.findall(r"case e\.refusal\b(.*?)\bend\b", text, re.DOTALL):
        yield from re.findall(r"when '([a-z_]+)'", words)


def test_the_shape_is_the_one_that_answers_have() -> None:
    shown = json.loads(named("ERRORS.md")["shape"].code)
    assert list(shown) == list(ErrorBody.model_fields)
    assert ErrorBody.model_validate(shown).code == "job_not_found"


def test_every_code_is_listed_and_every_listed_code_is_given() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "ERRORS.md").read_text(), re.MULTILINE)
    given = {
        code
        for path in [*ROOT.glob("functions/*.py"), ROOT / "milepost/models.py"]
        for code in codes_of_python(path)
    }
    given |= {code for path in ROOT.glob("sql/schema/*.sql") for code in codes_of_sql(path.read_text())}
    assert len(listed) == len(set(listed))
    assert set(listed) == given
