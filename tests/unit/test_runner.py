"""`make test` and `make unit` must see all that pytest sees: the forks of tests/runner.py report it, one that dies is not
taken for done, and what is together stays on one of them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.support import eventually

pytestmark = pytest.mark.thorough

ALONE = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""No other plugin is asked, and loading hypothesis is half of such a run."""

EVERY_OUTCOME = {
    "test_a.py": """import pytest
@pytest.fixture
def broken(): raise OSError('no disk')
@pytest.fixture
def sticks():
    yield
    raise OSError('still in use')
def test_error(broken): ...
def test_left(sticks): ...
def test_ok(): ...
""",
    "test_b.py": """import pytest, warnings
def test_fails():
    print('as seen')
    assert 1 == 2
@pytest.mark.xfail
def test_known(): assert 0
def test_elsewhere(): pytest.skip('not here')
def test_fine(tmp_path): warnings.warn('some day', FutureWarning)
""",
}

NOTES = """import os, pytest, pathlib, time
root = pathlib.Path(__file__).parents[MODULES]
def note(what):
    with (root / 'notes').open('a') as notes: notes.write(f'{what} {os.getpid()}\\n')
def met(own, other):
    (root / own).touch()
    end = time.monotonic() + 20
    while not (root / other).exists() and time.monotonic() < end: time.sleep(0.01)
"""


def run(directory: Path, files: dict[str, str], *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(directory, files, *options),
        cwd=ROOT,
        env=ALONE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command(directory: Path, files: dict[str, str], *options: str) -> list[str]:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text.replace("MODULES", str(name.count("/"))), encoding="utf-8")
    fresh = ("-q", "-p", "no:cacheprovider", f"--rootdir={directory}", f"--basetemp={directory}/tmp")
    return [sys.executable, "-m", "pytest", "-p", "tests.runner", *fresh, *options, str(directory)]


def noted(directory: Path) -> list[tuple[str, str]]:
    """What the tests of a run noted, each with the number of the process."""
    lines = (directory / "notes").read_text(encoding="utf-8").splitlines()
    return [(what, process) for what, _, process in (line.rpartition(" ") for line in lines)]


def test_every_outcome_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, EVERY_OUTCOME, "-rs", "--durations=0", "--durations-min=0")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 3 passed, 1 skipped, 1 xfailed, 1 warning, 2 errors" in done.stdout
    for told in (
        "no disk",
        "ERROR at teardown of test_left",
        "still in use",
        "assert 1 == 2",
        "as seen",
        "not here",
        "FutureWarning: some day",
        "s setup    test_b.py::test_fine",
    ):
        assert told in done.stdout


def test_all_is_well_only_if_all_have_run(tmp_path: Path) -> None:
    assert run(tmp_path, {"test_c.py": "def test_fine(): ...\n"}).returncode == pytest.ExitCode.OK
    assert run(tmp_path, {}, "-k", "nothing_of_that_name").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_process_that_dies_is_told_and_in_which_test(tmp_path: Path) -> None:
    dies = "import os\ndef test_fine(): ...\ndef test_dies(): os.kill(os.getpid(), 9)\n"
    done = run(tmp_path, {"test_d.py": dies}, "--workers", "1")
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "a process that ran tests has died (-9), in test_d.py::test_dies" in done.stdout


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, EVERY_OUTCOME | {"test_e.py": "import nothing_of_that_name\n"})
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "1 error" in done.stdout


FIXTURES = """
@pytest.fixture(scope='session', autouse=True)
def whole():
    yield
    note('session over')
@pytest.fixture(scope='module', autouse=True)
def part(request):
    yield
    note(f'{request.node.name} over')
"""
SEVERAL = {
    "conftest.py": NOTES + FIXTURES + "@pytest.fixture\ndef says(request): note(request.node.name)\n",
    "tests/unit/test_small.py": "def test_small(says): ...\n",
    "tests/unit/test_large.py": "def test_1(says): ...\ndef test_2(says): ...\n",
    "tests/unit/test_slow.py": "import pytest\n@pytest.mark.thorough\ndef test_slow(says): ...\n",
    "tests/contracts/test_some.py": """import pytest
@pytest.mark.parametrize('n', [1, 2, 3])
def test_rows(says, n): ...
@pytest.mark.long
def test_begins(says): ...
@pytest.mark.together('pair')
def test_first(says): ...
def test_alone(says): ...
@pytest.mark.together('pair')
def test_second(says): ...
""",
}


def test_the_longest_begin_and_fixtures_are_kept_as_long_as_they_are_used(tmp_path: Path) -> None:
    run(tmp_path, SEVERAL, "--workers", "1")
    assert [what for what, _ in noted(tmp_path)] == [
        *("test_begins", "test_first", "test_second"),
        *("test_rows[1]", "test_rows[2]", "test_rows[3]", "test_alone"),
        "test_some.py over",
        *("test_slow", "test_slow.py over"),
        *("test_1", "test_2", "test_large.py over"),
        *("test_small", "test_small.py over"),
        "session over",
    ]


MEET = """
@pytest.mark.together('{own}')
def test_meets(tmp_path): met('{own}', '{other}'); note('{own}'); note(tmp_path)
@pytest.mark.together('{own}')
def test_stays(): note('{own}')
"""


def test_what_is_together_stays_on_one_worker_and_the_workers_share_no_fixture(tmp_path: Path) -> None:
    files = {f"test_{own}.py": NOTES + MEET.format(own=own, other=other) for own, other in (("a", "b"), ("b", "a"))}
    done = run(tmp_path, files | {"conftest.py": NOTES + FIXTURES}, "--workers", "2")
    assert done.returncode == pytest.ExitCode.OK
    directories = set()
    for own in "ab":
        (process,) = {process for what, process in noted(tmp_path) if what == own}
        first, directory, *rest = [what for what, by in noted(tmp_path) if by == process]
        assert [first, *rest] == [own, own, f"test_{own}.py over", "session over"]
        directories.add(directory)
    assert directories == {f"{tmp_path}/tmp/worker-{n}/test_meets0" for n in (0, 1)}


ENDLESS = """
@pytest.fixture(scope='session')
def used():
    yield
    note('torn down')
def test_endless(used): met('begun', 'never'); note('came to an end')
"""


def test_after_the_first_failure_the_others_tear_down_what_they_use(tmp_path: Path) -> None:
    fails = NOTES + "def test_fails():\n    met('failing', 'begun')\n    assert 0\ndef test_after(): note('begun')\n"
    done = run(tmp_path, {"test_f.py": NOTES + ENDLESS, "test_g.py": fails}, "-x", "--workers", "2")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed in" in done.stdout
    assert [what for what, _ in noted(tmp_path)] == ["torn down"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_ends_all_and_they_tear_down_what_they_use(tmp_path: Path, number: signal.Signals) -> None:
    files = {"test_f.py": NOTES + ENDLESS}
    with subprocess.Popen(command(tmp_path, files), cwd=ROOT, env=ALONE, stdout=subprocess.PIPE, text=True) as running:
        eventually((tmp_path / "begun").exists, within=30)
        running.send_signal(number)
        shown, _ = running.communicate(timeout=30)
    assert running.returncode == pytest.ExitCode.INTERRUPTED
    assert "!!!!! KeyboardInterrupt !!!!!" in shown
    assert [what for what, _ in noted(tmp_path)] == ["torn down"]
