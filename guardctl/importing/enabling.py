"""One word of a jobs file changed: a job's `enabled`. Pure; every other byte stays.

Each place where the word may stand is tried, until the document differs in that one value and in nothing else.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_WORD = r'(true|false|"[a-z]*")'


def enabled(text: str, job: str, value: Any) -> str | None:
    """The file with that value; None if there is no such place, as in a job that is an inline table of many lines."""
    document = tomllib.loads(text)
    wanted = tomllib.loads(text)
    wanted["jobs"][job]["enabled"] = value
    if document == wanted:
        return text
    word = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return next((each for each in _candidates(text, job, word) if _means(each, wanted)), None)


def _candidates(text: str, job: str, word: str) -> Iterator[str]:
    """The file with the word in each place where an `enabled` stands, and then with a new line of it."""
    for match in re.finditer(rf"\benabled\s*=\s*{_WORD}", text):
        yield f"{text[: match.start(1)]}{word}{text[match.end(1) :]}"
    header = rf'^[ \t]*\[[ \t]*jobs[ \t]*\.[ \t]*"?{re.escape(job)}"?[ \t]*\][^\n]*\n?'
    for match in re.finditer(header, text, re.MULTILINE):
        head = match[0] if match[0].endswith("\n") else f"{match[0]}\n"
        yield f"{text[: match.start()]}{head}enabled = {word}\n{text[match.end() :]}"
    for match in re.finditer(rf"^[ \t]*\"?{re.escape(job)}\"?[ \t]*=[ \t]*\{{", text, re.MULTILINE):
        yield f"{text[: match.end()]} enabled = {word},{text[match.end() :]}"


def _means(text: str, wanted: Json) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
