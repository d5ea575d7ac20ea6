"""What a server tells people, on stderr: the only writer of it here."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from mlops_cli.errors import MlopsError

Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    """One message; stderr may be gone or its disk full, which is no reason to stop serving."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"mlops serve: {text}\n")
        sys.stderr.flush()


def complain(error: MlopsError) -> None:
    """An error as people read it: code word, what is wrong, and the hint on a line of its own."""
    to_stderr(f"{error.word}: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))


class Reporter:
    """Tells of our bugs: the whole traceback once for each place, so that a client cannot fill the disk."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._known: set[str] = set()

    def __call__(self, error: Exception) -> None:
        """Report an exception that should not have happened."""
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{type(error).__name__} at {last[0].filename}:{last[0].lineno}" if last else type(error).__name__
        if where not in self._known:
            self._known.add(where)
            self._say(f"bug: {where}")
            for line in "".join(traceback.format_exception(error)).splitlines():
                self._say(line)
