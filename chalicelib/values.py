"""`dataclass` for the values of this project: frozen for mypy, which sees every assignment, and not at run time.

Python freezes a class with methods that are compiled for it at import, a third of what making the class takes, and a
value with a call for each of its fields, most of what making the value takes.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(given: type | None = None, /, *, frozen: bool = False, **options: Any) -> Any:
        """As `dataclasses.dataclass`; a frozen one has its hash, and its fields could be assigned to."""
        return dataclasses.dataclass(given, unsafe_hash=frozen, **options)
