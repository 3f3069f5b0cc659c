"""What is shipped, that it runs by itself, and what no file of the repository may hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts import hub_definition
from scripts.release import PROJECT
from scripts.run import MELTANO
from tap_toloka.streams import STREAMS
from tests import isolation
from tests.docs_helpers import Shell, anchors_of
from tests.projects import REPOSITORY
from toloka_emulator import Emulator, make_pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

UV = str(Path(sys.executable).with_name("uv"))
# Whoever owns the repository: tests do not see its user's configuration of git.
LIST_FILES = ("git", "-c", "safe.directory=*", "ls-files")
# In parts, so that this file passes too.
UNWANTED = ("pypi" + ".org", "python" + "hosted.org", "../" + "shared")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and of that the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    build = [UV, "build", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder]
    subprocess.run([*map(str, build), REPOSITORY], check=True, capture_output=True)
    return folder


@pytest.fixture
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture
def sdist(dist: Path) -> Path:
    (sdist,) = dist.glob("*.tar.gz")
    return sdist


@pytest.fixture
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def sources() -> set[str]:
    """Return the files of the package."""
    return {
        path.relative_to(REPOSITORY).as_posix()
        for path in REPOSITORY.glob("tap_toloka/**/*")
        if path.is_file() and path.suffix != ".pyc"
    }


# Contents


def test_the_wheel_holds_the_whole_tap_and_nothing_else(wheel: Path) -> None:
    shipped = set(zipfile.ZipFile(wheel).namelist())
    assert {"tap_toloka/py.typed", "tap_toloka/schemas/pools.json"} <= sources()
    assert {name for name in shipped if ".dist-info/" not in name} == sources()


def test_the_sdist_holds_what_the_wheel_is_built_from_and_what_users_read(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        shipped = {name.partition("/")[2] for name in archive.getnames()}
    read = {"README.md", "CHANGELOG.md", "LICENSE", "sample_config.json"}
    made = {"PKG-INFO", "pyproject.toml", ".gitignore"}
    assert shipped == sources() | read | made


def test_the_page_on_the_index_says_where_all_is_and_its_links_lead_there(
    metadata: Message,
) -> None:
    assert metadata["Version"] == PROJECT["version"]
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert urls.keys() == {"Homepage", "Documentation", "Repository", "Issues", "Changelog"}
    repository = urls["Repository"]
    assert {url.removeprefix(repository).split("/")[0] for url in urls.values()} == {""}
    assert metadata["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"\]\(([^)]+)\)", str(metadata.get_payload()))
    here = [link for link in links if not link.startswith("https://")]
    assert here == [], "relative links lead nowhere on the index"
    files = f"{repository}/blob/v{PROJECT['version']}/"
    ours = [link.removeprefix(files) for link in links if link.startswith(repository)]
    assert len(ours) > 20
    for link in ours:
        path, _, anchor = link.partition("#")
        assert (REPOSITORY / path).exists(), link
        assert not anchor or anchor in anchors_of(path), link


# In an environment without anything else


def installed(package: Path, folder: Path, env: dict[str, str]) -> Callable[..., bytes]:
    """Install a package into an environment of its own; return what runs its commands there."""
    venv = folder / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    install = [UV, "pip", "install", "--quiet", "--python", str(venv), str(package)]
    constraint = str(REPOSITORY / "requirements-dev.txt")
    subprocess.run([*install, "--constraint", constraint], env=env, check=True)

    def run(command: str, *args: str) -> bytes:
        return subprocess.run(
            [venv / "bin" / command, *args], cwd=folder, check=True, capture_output=True
        ).stdout

    return run


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_reads_an_account_in_an_environment_of_its_own(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> None:
    package = request.getfixturevalue(kind)
    run = installed(package, tmp_path, pytestconfig.stash[isolation.installing])
    assert run("tap-toloka", "--version").startswith(f"tap-toloka v{PROJECT['version']}".encode())
    with Emulator(make_pools(400, seed=1)) as emulator:
        sample = json.loads((REPOSITORY / "sample_config.json").read_text())
        ours = {"token": emulator.key, "api_url": emulator.url}
        (tmp_path / "config.json").write_text(json.dumps({**sample, **ours}))
        lines = run("tap-toloka", "--config=config.json").splitlines()
    messages: list[dict[str, Any]] = [json.loads(line) for line in lines]
    pools = [m for m in messages if m["type"] == "RECORD" and m["stream"] == "pools"]
    assert len(pools) == 400
    if kind == "wheel":  # the sdist has the same
        about = json.loads(run("tap-toloka", "--about", "--format=json"))
        assert about["settings"]["required"] == ["token"]
        catalog = json.loads(run("tap-toloka", "--config=config.json", "--discover"))
        assert len(catalog["streams"]) == len(STREAMS)
        (tmp_path / "state.json").write_text(json.dumps(messages[-1]["value"]))
        merged = json.loads(run("tap-toloka-merge-states", "state.json", "state.json"))
        assert "pools" in merged["bookmarks"]


# From Meltano Hub

OF_THE_HUB = {
    *("capabilities", "commands", "description", "domain_url", "executable", "keywords", "label"),
    *("log_parser", "logo_url", "maintenance_status", "name", "namespace", "pip_url", "quality"),
    *("repo", "select", "settings", "settings_group_validation", "supported_python_versions"),
    *("usage", "variant"),
}
"""What a definition may have, by the schema of the Hub."""


def test_the_definition_for_the_hub_is_current_and_sorted() -> None:
    read = yaml.safe_load(hub_definition.FILE.read_text("utf-8"))
    assert read == hub_definition.definition(), "run python -m scripts.hub_definition"
    assert read.keys() <= OF_THE_HUB
    for mapping in (read, *read["settings"]):
        assert [*mapping] == sorted(mapping)
    names = [setting["name"] for setting in read["settings"]]
    assert names == sorted(names)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """Serve a Meltano Hub that has the tap; give its address."""
    plugins = tmp_path / "hub/plugins/extractors"
    plugins.mkdir(parents=True)
    definition = hub_definition.definition()
    (plugins / "definition").write_text(json.dumps(definition))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "hub")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        reference = {"ref": f"{address}/plugins/extractors/definition"}
        index = {
            "default_variant": definition["variant"],
            "variants": {definition["variant"]: reference},
            "logo_url": definition["logo_url"],
        }
        (plugins / "index").write_text(json.dumps({definition["name"]: index}))
        Thread(target=server.serve_forever, daemon=True).start()
        yield address
        server.shutdown()


def test_one_command_adds_the_tap_once_it_is_on_the_hub_and_the_index(
    hub: str, dist: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    with Emulator(make_pools(20)) as emulator:
        variables = {
            **pytestconfig.stash[isolation.installing],
            "MELTANO_HUB_API_ROOT": hub,
            "UV_CONSTRAINT": str(REPOSITORY / "requirements-dev.txt"),
            "UV_FIND_LINKS": str(dist),
            "TAP_TOLOKA_TOKEN": emulator.key,
            "TAP_TOLOKA_API_URL": emulator.url,
        }
        Shell(tmp_path, variables).run(f"{MELTANO} init warehouse --no-usage-stats")
        shell = Shell(tmp_path / "warehouse", variables)
        shell.run(f"{MELTANO} add tap-toloka")
        lines = shell.run(f"{MELTANO} invoke tap-toloka").splitlines()
    messages = [json.loads(line) for line in lines]
    read = {m["stream"] for m in messages if m["type"] == "SCHEMA"}
    assert read == {stream.name for stream in STREAMS if stream.selected_by_default}
    assert len([m for m in messages if m["type"] == "RECORD" and m["stream"] == "pools"]) == 20


# What no file may hold


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="needs git to list the files")
def test_no_file_names_a_package_registry_or_a_path_outside_of_the_repository() -> None:
    listed = subprocess.run(
        [*LIST_FILES, "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    files = [path for name in listed if name and (path := REPOSITORY / name).is_file()]
    found = [
        f"{path.relative_to(REPOSITORY)}: {unwanted}"
        for path in files
        for unwanted in UNWANTED
        if unwanted in path.read_text(errors="replace")
    ]
    assert files
    assert found == []
