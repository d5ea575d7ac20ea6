"""A progress bar on standard error, on a terminal only."""

from __future__ import annotations

import os
import sys
import time
from typing import Any


class Progress:
    """How far long work is; draws nothing unless standard error is a terminal and rich is installed."""

    def __init__(self, *, quiet: bool) -> None:
        self._on = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._started = time.monotonic()

    def __call__(self, what: str, done: float, total: float | None) -> None:
        """Show that `done` of `total` is done; nothing for work that ends within half a second.

        What follows a colon in `what` is shown with it, and may change.
        """
        if not self._on or time.monotonic() - self._started < 0.5:
            return
        if self._bar is None:
            try:
                from rich.console import Console
                from rich.progress import Progress as Bar
            except ModuleNotFoundError:
                self._on = False
                return
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
        name = what.partition(":")[0]
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[name], description=what, completed=done, total=total)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
