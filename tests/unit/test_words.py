"""Templates in the words of a command: what they become, what is refused, and which tasks they make the job's."""

import string
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.config.jobs import Job, JobsFileInvalid, parse
from chalicelib.config.run_task import run_task
from chalicelib.decide.words import NAMES, Word, WordRefused, command, for_time, parse_word, same

deterministic = settings(derandomize=True, deadline=None, database=None)

NIGHT = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
"""In Tokyo it is the 24th, three in the morning."""


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("bin/report", "bin/report"),
        ("{scheduled_at}", "2026-11-23T18:00:00Z"),
        ("{scheduled_at:%Y-%m-%dT%H}", "2026-11-23T18"),
        ("{local_date}", "2026-11-24"),
        ("{local_date:%Y%m%d}", "20261124"),
        ("{local_date:%H:%M %Z}", "03:00 JST"),
        ("{local_date:%d%%}", "24%"),
        ("--day={local_date:%d}/{local_date:%m}", "--day=24/11"),
        ("s3://in/{local_date:%Y/%m}/{scheduled_at:%H}.csv", "s3://in/2026/11/18.csv"),
        ("{{local_date}}", "{local_date}"),
        ("{{{local_date:%d}}}", "{24}"),
        ('{{"day": 1}}', '{"day": 1}'),
        ("", ""),
    ],
)
def test_a_word_at_its_time(word: str, expected: str) -> None:
    assert for_time([word], NIGHT, "Asia/Tokyo") == (expected,)


@pytest.mark.parametrize(
    ("word", "wrong", "right"),
    [
        ("{local_dat}", '"{local_dat}" is not a template', 'did you mean "{local_date}"?'),
        ("{localdate:%Y}", '"{localdate:%Y}" is not a template', 'did you mean "{local_date:%Y}"?'),
        ("{schedule_at}", '"{schedule_at}" is not a template', 'did you mean "{scheduled_at}"?'),
        (
            "{day}",
            '"{day}" is not a template',
            "known are {scheduled_at}, {local_date}, {business_date}; double a brace that is meant: '{{day}}'",
        ),
        ("{}", '"{}" is not a template', "double a brace that is meant: '{{}}'"),
        ("{local_date", "belongs to no template", "'{{local_date'"),
        ("100}", "belongs to no template", "'100}}'"),
        ('{"a": {"b": 1}}', "belongs to no template", """'{{"a": {{"b": 1}}}}'"""),
        ("{local_date:}", "nothing after its colon", '"{local_date:%Y%m%d}"'),
        ("{local_date:%Q}", '"%Q" in "{local_date:%Q}" is not a directive', '"{local_date:%Y%m%d}"'),
        ("{local_date:%-d}", '"%-"', "known are %a"),
        ("{local_date:%s}", '"%s"', "known are %a"),
        ("{local_date:%Y%}", '"%" in', "known are %a"),
    ],
)
def test_what_is_no_template(word: str, wrong: str, right: str) -> None:
    with pytest.raises(WordRefused) as refused:
        parse_word(word)
    assert wrong in refused.value.wrong
    assert right in refused.value.right


TEXT = st.text(alphabet=string.ascii_letters + '{}%/:" ', max_size=12)


@deterministic
@given(TEXT)
def test_any_text_can_be_meant_by_doubling_its_braces(text: str) -> None:
    assert for_time([text.replace("{", "{{").replace("}", "}}")], NIGHT, "UTC") == (text,)


@deterministic
@given(TEXT)
def test_the_advice_to_double_braces_is_right_when_it_is_followed(text: str) -> None:
    try:
        parse_word(text)
    except WordRefused as refused:
        _, advised, word = refused.right.partition("double a brace that is meant: '")
        assume(advised and "{{" not in text)
        assert for_time([word.removesuffix("'")], NIGHT, "UTC") == (text,)


@deterministic
@given(TEXT, st.sampled_from(["{scheduled_at}", "{local_date:%d}"]), TEXT, st.integers(0, 100_000))
def test_what_a_word_becomes_it_may_be(before: str, template: str, after: str, hours: int) -> None:
    def doubled(text: str) -> str:
        return text.replace("{", "{{").replace("}", "}}")

    word = parse_word(doubled(before) + template + doubled(after))
    assert isinstance(word, Word)
    became = word.at(NIGHT + timedelta(hours=hours), "America/New_York")
    assert word.may_be(became)
    assert word.may_be(before + "anything, and\nmore" + after)
    assert not word.may_be(f"ü{became}") or before == ""
    assert not word.may_be(f"{became}ü") or after == ""


@deterministic
@given(st.sampled_from(sorted(NAMES)))
def test_every_name_has_a_format_of_its_own(name: str) -> None:
    (became,) = for_time([f"{{{name}}}"], NIGHT, "Asia/Tokyo", date(2026, 11, 20))
    assert became.startswith("2026-11-2")


@pytest.mark.parametrize(
    ("found", "job", "expected"),
    [
        pytest.param(("bin/x", "20261124"), ("bin/x", "{local_date:%Y%m%d}"), True, id="what it would be"),
        pytest.param(("bin/x", "yesterday"), ("bin/x", "{local_date:%Y%m%d}"), True, id="any word"),
        pytest.param(("bin/y", "20261124"), ("bin/x", "{local_date:%Y%m%d}"), False, id="another program"),
        pytest.param(("bin/x", "--day=1"), ("bin/x", "--day={local_date}"), True, id="any word with the same beginning"),
        pytest.param(("bin/x", "--to=1"), ("bin/x", "--day={local_date}"), False, id="another beginning"),
        pytest.param(("bin/x",), ("bin/x", "{local_date}"), False, id="a word is missing"),
        pytest.param(("bin/x", "1", "2"), ("bin/x", "{local_date}"), False, id="a word too many"),
        pytest.param(("bin/x", "{"), ("bin/x", "{{"), True, id="a brace that was doubled"),
        pytest.param(("bin/x", "{{"), ("bin/x", "{{"), False, id="two braces are not the one that was meant"),
        pytest.param(None, ("bin/x",), False, id="the image's own command"),
    ],
)  # fmt: skip
def test_which_tasks_are_the_jobs(found: tuple[str, ...] | None, job: tuple[str, ...], expected: bool) -> None:
    assert same(found, command(job)) is expected


def test_a_command_that_nobody_knows_is_no_other() -> None:
    assert same(None, None)
    assert not same(("bin/x",), None)


# --- in the jobs file, and in a run ---------------------------------------------------------------------------


def job(words: str, about: str = "") -> Job:
    ecs = 'cluster = "b"\ncontainer = "c"\nsubnets = ["subnet-0"]\ntask_definition = "r"'
    text = f'[jobs.report]\ntimezone = "Asia/Tokyo"\n{about}\n[jobs.report.ecs]\n{ecs}\ncommand = {words}'
    return parse(text, stage="dev", place="dev.toml").jobs["report"]


def run(words: str, **more: list[str]) -> object:
    arguments = run_task(job(words), number=1, scheduled_at=NIGHT, commands=more.get("commands"))
    return arguments["Overrides"]["ContainerOverrides"][0]["Command"]


def test_a_run_has_the_command_of_its_time() -> None:
    assert run('["bin/x", "--day={local_date:%Y%m%d}", "{{}}"]') == ["bin/x", "--day=20261124", "{}"]


def test_a_command_that_somebody_gives_is_taken_as_it_stands() -> None:
    assert run('["bin/x", "{local_date}"]', commands=["bin/x", "{local_date}"]) == ["bin/x", "{local_date}"]


def test_a_word_that_is_no_template_is_a_fault_at_its_place() -> None:
    with pytest.raises(JobsFileInvalid) as invalid:
        job('["bin/x", "{local_dat}", "{local_date:%Q}"]')
    first, second = str(invalid.value).splitlines()
    assert first == 'dev.toml:jobs.report.ecs.command[1]: "{local_dat}" is not a template; did you mean "{local_date}"?'
    assert second.startswith('dev.toml:jobs.report.ecs.command[2]: "%Q" in "{local_date:%Q}" is not a directive')


def test_what_a_template_becomes_counts_for_the_length_of_the_overrides() -> None:
    word = "{local_date:" + "%A" * 1000 + "}"
    with pytest.raises(JobsFileInvalid, match="the task's overrides would have up to"):
        job(f'["{word}"]')


def test_two_ways_to_write_one_command_are_one_batch() -> None:
    about = 'cluster = "b", container = "c", subnets = ["subnet-0"], task_definition = "r"'
    text = f"""
    [jobs.a]
    ecs = {{ {about}, command = ["x", "{{local_date}}"] }}
    [jobs.b]
    ecs = {{ {about}, command = ["x", "{{local_date:%Y-%m-%d}}"] }}
    """
    with pytest.raises(JobsFileInvalid, match=r"is the same batch as jobs\.a"):
        parse(text, stage="dev", place="dev.toml")
