"""The zip's bytecode and models: the same from every copy of one commit, and never believed when its source has changed."""

import os
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from tests.documents import ROOT

pytestmark = pytest.mark.thorough


def copied(to: Path) -> Path:
    """What Chalice packages of this project."""
    to.mkdir()
    shutil.copy(ROOT / "app.py", to)
    (to / ".chalice").mkdir()
    shutil.copy(ROOT / ".chalice" / "config.json", to / ".chalice")
    shutil.copytree(ROOT / "chalicelib", to / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
    return to


def run(project: Path, code: str, **more: str) -> str:
    """What a Python with its own hash seed says in that directory."""
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", "BATCH_GUARD_STAGE": "dev", **more}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def deployed(project: Path, **more: str) -> dict[str, bytes]:
    """``vendor/`` after Chalice's command line has imported the app to deploy it."""
    run(project, "import sys; sys.argv = ['chalice', 'deploy']; import app", AWS_CHALICE_CLI_MODE="true", **more)
    return vendored(project)


def vendored(project: Path) -> dict[str, bytes]:
    """What stands in ``vendor/``, by its place there."""
    vendor = project / "vendor"
    return {str(file.relative_to(vendor)): file.read_bytes() for file in vendor.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that somebody has run a command in before, and that was deployed then."""
    made = copied(tmp_path_factory.mktemp("project") / "one")
    run(made, "import app")
    assert list((made / "chalicelib").rglob("__pycache__"))
    deployed(made)
    return made


def test_two_copies_have_the_same_bytes_whatever_was_run_in_them(project: Path, tmp_path: Path) -> None:
    two = copied(tmp_path / "two")
    shutil.copytree(project / "vendor", two / "vendor")
    (two / "vendor" / "left_behind.py").touch()
    vendor = vendored(project)
    # As people set it who want no __pycache__ beside their sources, or no assertions.
    assert vendor == deployed(two, PYTHONPYCACHEPREFIX=str(tmp_path / "elsewhere"), PYTHONOPTIMIZE="1")
    assert not list((project / "chalicelib").rglob("__pycache__"))
    assert {cache_from_source(name) for name in ("app.py", "chalicelib/check.py", "cronsim/__init__.py")} <= set(vendor)
    assert "models/endpoints.json" in vendor


def test_all_of_it_is_checked_against_its_source(project: Path) -> None:
    """PEP 552: the lowest bits of the flags say by hash, and checked."""
    code = [content for name, content in vendored(project).items() if name.endswith(".pyc")]
    assert {each[4:8] for each in code} == {b"\x03\x00\x00\x00"}


def test_a_file_that_was_edited_since_is_what_runs(project: Path, tmp_path: Path) -> None:
    edited = shutil.copytree(project, tmp_path / "edited")
    shutil.copytree(edited / "vendor", edited, dirs_exist_ok=True)  # as Chalice puts the zip together
    assert run(edited, "from chalicelib import names; print(names.LONGEST_NAME)", PYTHONDONTWRITEBYTECODE="1") == "80\n"
    names = edited / "chalicelib" / "names.py"
    names.write_text(
        names.read_text(encoding="utf-8").replace("LONGEST_NAME = 80", "LONGEST_NAME = 79"), encoding="utf-8"
    )
    assert run(edited, "from chalicelib import names; print(names.LONGEST_NAME)", PYTHONDONTWRITEBYTECODE="1") == "79\n"


def test_a_client_reads_the_models_of_the_zip(project: Path, tmp_path: Path) -> None:
    unpacked = shutil.copytree(project, tmp_path / "unpacked")
    shutil.copytree(unpacked / "vendor", unpacked, dirs_exist_ok=True)
    said = run(
        unpacked,
        "from chalicelib.read import aws; client = aws.client('ecs'); loader = aws._session().get_component('data_loader')\n"
        "print(client.meta.endpoint_url, 'documentation' in loader.load_service_model('ecs', 'service-2'))\n"
        "print(loader.load_data_with_path('endpoints')[1])",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert said.splitlines() == ["https://ecs.us-east-1.amazonaws.com False", str(unpacked / "models" / "endpoints")]
