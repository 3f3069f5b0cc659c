"""Writes `meltano-plugins/*.yml` from `meltano.yml`: definitions for `meltano add --from-ref`.

They are for projects that lie beside a clone of this repository. A test fails when they differ.
"""

from __future__ import annotations

from typing import Any

import yaml

from scripts.release import ROOT

FOLDER = ROOT / "meltano-plugins"
HEADER = "# Generated from meltano.yml: python -m scripts.plugin_definitions\n"
CLONE = "-e ../tap-toloka"


def definitions() -> dict[str, str]:
    """Return the text of each file by the name of its plugin."""
    plugins = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]
    return {
        plugin["name"]: HEADER + _definition(plugin)
        for plugin in (*plugins["extractors"], *plugins["loaders"], *plugins["utilities"])
    }


def _definition(plugin: dict[str, Any]) -> str:
    # `meltano add` takes what defines a plugin, and drops `select`.
    definition = {name: value for name, value in plugin.items() if name != "select"}
    if definition["pip_url"] == "-e .":
        definition["pip_url"] = CLONE
    return yaml.safe_dump(definition, sort_keys=False, allow_unicode=True, width=100)


def settings_of(loader: str) -> dict[str, Any]:
    """Return the values that `meltano.yml` sets for a loader, except paths and variables."""
    loaders = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["loaders"]
    (definition,) = [one for one in loaders if one["name"] == loader]
    values = {setting["name"]: setting.get("value") for setting in definition["settings"]}
    return {
        name: value
        for name, value in values.items()
        if value is not None and not str(value).startswith(("$", "~"))
    }


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in definitions().items():
        (FOLDER / f"{name}.yml").write_text(text)


if __name__ == "__main__":
    main()
