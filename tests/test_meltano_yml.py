"""`meltano.yml` is valid, and has the settings and streams of the tap."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from scripts.hub_definition import setting
from tap_toloka.streams import STREAMS
from tests.projects import REPOSITORY
from tests.runner import run_process

if TYPE_CHECKING:
    from collections.abc import Iterator


Json = dict[str, Any]


@pytest.fixture(scope="module")
def meltano_yml() -> Json:
    """Read the project file."""
    read: Json = yaml.safe_load((REPOSITORY / "meltano.yml").read_text())
    return read


@pytest.fixture(scope="module")
def extractor(meltano_yml: Json) -> Json:
    """Return the tap's definition."""
    (definition,) = meltano_yml["plugins"]["extractors"]
    assert definition["name"] == "tap-toloka"
    return dict(definition)


@pytest.fixture(scope="module")
def about() -> Json:
    """Return what `--about` prints."""
    about: Json = json.loads(run_process("--about", "--format=json").output)
    return about


def test_meltano_yml_fits_the_schema_of_meltano_and_has_nothing_deprecated(
    meltano_yml: Json,
) -> None:
    def deprecated(_: object, value: bool, found: object, __: Json) -> Iterator[ValidationError]:  # noqa: FBT001
        if value:
            yield ValidationError(f"{found!r} is deprecated")

    schema = json.loads(files("meltano.schemas").joinpath("meltano.schema.json").read_text())
    strict = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"deprecated": deprecated}
    )
    errors = [
        f"{error.json_path}: {error.message}" for error in strict(schema).iter_errors(meltano_yml)
    ]
    assert errors == []


def test_each_plugin_is_defined_in_full_without_meltano_hub(meltano_yml: Json) -> None:
    for plugin in chain(*meltano_yml["plugins"].values()):
        assert {"namespace", "pip_url", "executable", "label", "settings"} <= plugin.keys()


def test_meltano_selects_the_streams_that_the_tap_selects_by_default(extractor: Json) -> None:
    usual = [f"{stream.name}.*" for stream in STREAMS if stream.selected_by_default]
    assert extractor["select"] == usual


def test_meltano_has_the_settings_of_the_tap(extractor: Json, about: Json) -> None:
    schemas = about["settings"]["properties"]
    expected = [setting(name, schema) for name, schema in schemas.items()]
    assert extractor["settings"] == expected


def test_meltano_requires_what_the_tap_requires(extractor: Json, about: Json) -> None:
    assert extractor["settings_group_validation"] == [about["settings"]["required"]]


def test_meltano_has_the_capabilities_and_the_description_of_the_tap(
    extractor: Json, about: Json
) -> None:
    assert extractor["capabilities"] == about["capabilities"]
    assert extractor["description"] == about["description"]


def test_the_schedule_runs_into_postgres_each_day(meltano_yml: Json) -> None:
    (schedule,) = meltano_yml["schedules"]
    (job,) = meltano_yml["jobs"]
    assert schedule == {"name": "daily", "interval": "@daily", "job": job["name"]}
    assert job["tasks"] == ["tap-toloka target-postgres"]


def test_env_example_names_existing_settings(meltano_yml: Json) -> None:
    known = {"TAP_TOLOKA__SELECT"}  # Meltano's own, of each extractor
    known |= {
        f"{plugin['namespace']}_{setting['name']}".upper()
        for plugin in chain(*meltano_yml["plugins"].values())
        for setting in plugin["settings"]
    }
    example = (REPOSITORY / ".env.example").read_text()
    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", example, flags=re.MULTILINE)) <= known
