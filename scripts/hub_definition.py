"""Writes `hub/_data`: the definition of the tap for Meltano Hub, from `tap-toloka --about`.

What `--about` does not say is taken from `meltano.yml`. The file has the path that it has in the
Hub's repository, and is sorted as the Hub's linter wants it. A test fails when it is not current.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import yaml

from scripts.release import PROJECT, ROOT

VARIANT = PROJECT["Repository"].split("/")[-2].lower()
FILE = ROOT / f"hub/_data/meltano/extractors/tap-toloka/{VARIANT}.yml"


def about() -> dict[str, Any]:
    """Return the output of `tap-toloka --about`."""
    command = [sys.executable, "-m", "tap_toloka", "--about", "--format=json"]
    done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # our own
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a setting as Meltano has it.

    Args:
        name: The name of the setting.
        schema: Its JSON Schema, with a single type beside null.
    """
    (kind,) = {*schema["type"]} - {"null"}
    found = {
        "name": name,
        "label": schema["title"],
        "kind": kind,
        "description": schema["description"],
    }
    if schema.get("format") == "date-time":
        found["kind"] = "date_iso8601"
    if "enum" in schema:
        found["kind"] = "options"
        found["options"] = [{"label": value, "value": value} for value in schema["enum"]]
    if schema.get("secret"):
        found["sensitive"] = True
    if name == "user_agent":  # the tap's own default names the version that is installed
        found["placeholder"] = "tap-toloka/VERSION"
    elif "default" in schema:
        found["value"] = schema["default"]
    return found


def definition() -> dict[str, Any]:
    """Return the definition of the tap, as the Hub has those of all extractors."""
    told = about()
    settings = told["settings"]["properties"]
    (ours,) = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))["plugins"]["extractors"]
    return {
        **{name: ours[name] for name in ("name", "namespace", "label", "commands", "select")},
        "variant": VARIANT,
        "description": told["description"],
        "domain_url": "https://toloka.ai",
        "logo_url": "/assets/logos/extractors/toloka.png",
        "pip_url": told["name"],
        "repo": PROJECT["Repository"],
        "keywords": ["api", "crowdsourcing", "data labeling", "meltano_sdk"],
        "maintenance_status": "active",
        "quality": "unknown",  # rated by the Hub
        "log_parser": "singer-sdk",
        "supported_python_versions": told["supported_python_versions"],
        "capabilities": sorted(told["capabilities"]),
        "settings": [setting(name, settings[name]) for name in sorted(settings)],
        "settings_group_validation": [told["settings"]["required"]],
    }


def main() -> None:
    """Write the file."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(yaml.safe_dump(definition(), allow_unicode=True), "utf-8")


if __name__ == "__main__":
    main()
