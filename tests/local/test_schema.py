"""The built SQL files are what sql/schema says."""

from pathlib import Path

import pytest

from milepost.local import gentle, schema


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tmp_path / "schema"
    source.mkdir()
    (source / "20_second.sql").write_text("select 2;\n")
    (source / "10_first.sql").write_text("\nselect 1;\n\n")
    monkeypatch.setattr(schema, "CHECKOUT", tmp_path)
    monkeypatch.setattr(schema, "SOURCE", source)
    monkeypatch.setattr(schema, "BUILT", (tmp_path / "complete.sql", tmp_path / "migrations/first.sql"))
    return source


def test_files_come_in_the_order_of_their_names_under_a_line_that_names_each(source: Path) -> None:
    built = schema.build().removeprefix(schema.HEADER)
    assert built.removeprefix(gentle.BEFORE).removesuffix(gentle.AFTER) == (
        "\n-- ==== sql/schema/10_first.sql\n\nselect 1;\n\n-- ==== sql/schema/20_second.sql\n\nselect 2;\n"
    )


def test_check_names_what_is_stale_and_writes_nothing(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schema.main(["--check"]) == 1
    assert "complete.sql is not what sql/schema says. Run `make sql`." in capsys.readouterr().err
    assert not schema.BUILT[0].exists()

    assert schema.main([]) == 0
    assert [file.read_text() for file in schema.BUILT] == [schema.build()] * 2
    assert schema.main(["--check"]) == 0

    (source / "20_second.sql").write_text("select 3;\n")
    assert schema.main(["--check"]) == 1


def test_an_unknown_argument_is_refused(source: Path) -> None:
    assert schema.main(["--chekc"]) == 2
    assert not schema.BUILT[0].exists()
