"""A release: its version, its notes, and the workflows that make it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.release import PROJECT, ReleaseError, notes
from tests.projects import REPOSITORY

BIN = Path(sys.executable).parent
GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
CHANGELOG = (
    "# Changelog\n\nWhat users notice.\n\n"
    "## 1.2.0 — 2026-12-01\n\n- New: [shards](docs/scaling.md).\n"
    "- [Meltano](https://meltano.com).\n\n## 1.1.0 — 2026-11-01\n\n- Old.\n"
)


def checked(*command: str | Path) -> None:
    """Run a checker, which finds nothing."""
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


# Version and notes


def test_the_newest_section_of_the_changelog_is_of_this_version() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    dated = re.sub("(?m)^(## .+) — unreleased$", r"\1 — 2026-12-01", changelog, count=1)
    assert notes(f"v{PROJECT['version']}", PROJECT["version"], dated).startswith("- ")


def test_the_notes_are_the_section_with_links_that_work_elsewhere() -> None:
    assert notes("v1.2.0", "1.2.0", CHANGELOG) == (
        f"- New: [shards]({PROJECT['Repository']}/blob/v1.2.0/docs/scaling.md).\n"
        "- [Meltano](https://meltano.com)."
    )


@pytest.mark.parametrize(
    ("tag", "version", "date", "problem"),
    [
        (
            "v1.2.1",
            "1.2.0",
            "2026-12-01",
            "The tag is v1.2.1, but pyproject.toml has version 1.2.0",
        ),
        ("1.2.0", "1.2.0", "2026-12-01", "tag v1.2.0"),
        ("v1.3.0", "1.3.0", "2026-12-01", "begins with 1.2.0: add a section"),
        ("v1.2.0", "1.2.0", "unreleased", "Replace `unreleased` by the date"),
    ],
)
def test_what_does_not_agree_is_not_released(
    tag: str, version: str, date: str, problem: str
) -> None:
    with pytest.raises(ReleaseError, match=problem):
        notes(tag, version, CHANGELOG.replace("2026-12-01", date))


def test_the_notes_need_nothing_but_the_standard_library() -> None:
    command = [sys.executable, "-I", "-S", str(REPOSITORY / "scripts/release.py"), "v0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"The tag is v0, but pyproject.toml has version {PROJECT['version']}: "
        f"tag v{PROJECT['version']}\n"
    )


def test_whatever_names_the_repository_names_the_one_of_pyproject() -> None:
    listed = [*REPOSITORY.glob("*.*"), *REPOSITORY.glob("docs/**/*"), *REPOSITORY.glob("hub/**/*")]
    named = {
        address
        for path in listed
        if path.is_file()
        for address in re.findall(
            r"https://github\.com/[\w-]+/tap-toloka\b", path.read_text(errors="replace")
        )
    }
    assert named == {PROJECT["Repository"]}


# Workflows


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    checked(BIN / "zizmor", "--offline", "--pedantic", "--strict-collection", "--quiet", GITHUB)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
@pytest.mark.parametrize(
    "schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"]
)
def test_workflows_fit_their_schemas(workflow: Path, schema: str) -> None:
    checked(BIN / "check-jsonschema", "--builtin-schema", schema, workflow)


def test_the_settings_of_dependabot_fit_their_schema() -> None:
    dependabot = GITHUB / "dependabot.yml"
    checked(BIN / "check-jsonschema", "--builtin-schema", "vendor.dependabot", dependabot)


def test_each_action_is_pinned_and_says_its_version() -> None:
    uses = {
        used for path in WORKFLOWS for used in re.findall(r"uses: (?!\./)(.+)", path.read_text())
    }
    for used in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    assert len({used.partition("@")[0] for used in uses}) == len(uses), "in one version each"


def test_the_files_that_are_tested_on_other_systems_exist() -> None:
    tested = re.findall(r"tests/\w+\.py", (GITHUB / "workflows/ci.yml").read_text())
    assert tested
    for name in tested:
        assert (REPOSITORY / name).exists(), name
