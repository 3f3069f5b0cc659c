"""docs/tables says what the schemas say."""

from __future__ import annotations

from scripts.data_dictionary import FOLDER, pages
from tests import catalog
from tests.projects import REPOSITORY


def test_the_data_dictionary_is_that_of_the_schemas() -> None:
    assert {*FOLDER.iterdir()} == pages().keys()
    for path, text in pages().items():
        where = path.relative_to(REPOSITORY)
        assert path.read_text() == text, f"{where}: run python -m scripts.data_dictionary"


def test_each_field_of_the_catalog_has_a_line_that_describes_it() -> None:
    lines = {
        f"{path.stem}.{name.strip('` ')}": description.strip()
        for path in FOLDER.iterdir()
        for _, name, _, description, *_ in (
            line.replace("\\|", "/").split("|")
            for line in path.read_text().splitlines()
            if line.startswith("| `")
        )
    }
    # The items of an array are described with it.
    fields = {path for path in catalog.kept() if "." in path and not path.endswith("[]")}
    assert lines.keys() == fields
    assert min(map(len, lines.values())) > 5
