"""What is written for people who look later: secrets redacted, and the log file of a bug."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

_CREDENTIALS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)([^/\s:@]*):([^@\s/]*)@")
_SECRET_KEY = re.compile(r"(?i)((?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[a-z_-]*=)[^\s&;,'\"]+")


def redact(text: str) -> str:
    """Replace passwords in URLs and values of keys that name a secret by `***`."""
    return _SECRET_KEY.sub(r"\1***", _CREDENTIALS.sub(r"\1\2:***@", text))


def redact_all(arguments: Sequence[str]) -> list[str]:
    """A command line that can be shown and kept."""
    return [redact(argument) for argument in arguments]


def bug_report(error: BaseException, arguments: Sequence[str], version: str) -> Path:
    """Write a bug's traceback, versions and command into a new log file, and say where it is."""
    lines = [
        f"mlops {version}, Python {sys.version.split()[0]}, {sys.platform}",
        "command: " + " ".join(redact_all(arguments)),
        "",
        redact("".join(traceback.format_exception(error))),
    ]
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "mlops"
    for folder in (state, Path(tempfile.gettempdir())):
        path = folder / f"bug-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines))
        except OSError:
            continue
        return path
    return Path("(no place to write a log)")
