"""What is written for people who look later: secrets redacted, and the log file of a bug."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SECRET = r"pass(?:word|wd|phrase)|pwd|secret|token|credential|(?:api|access|account)[_-]?key|signature|\bsig"
_VALUE = r"''.*?''|'[^']*'|\"[^\"]*\"|[^\s&;,'\"]+"  # doubled quotes: in a string of SQL
_USER_PASSWORD = r"(?i)([a-z][a-z0-9+.-]*://)([^/\s:@]*):([^\s/]*)@"
_USER = r"(?i)(https?://)[^/\s:@]+@"
_QUERY = r"(?i)(https?://[^\s?'\"<>]+\?)[^\s#'\"]+"
_KEY = rf"(?i)((?:{_SECRET})[a-z_-]*(?:=|['\"]\s*:\s*))({_VALUE})"
_HEADER = r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:bearer |basic )?)[^\s'\"]+"
_FLAG = r"--(?:notify|(?:[a-z-]+-)?(?:password|token|secret|api-key))"


def redact(text: str) -> str:
    """Replace by `***` passwords in URLs, the queries of web addresses, which may sign them, and values of keys that
    name a secret; what UTF-8 cannot say, too.

    Most texts have none of it, and compiling the patterns takes longer than a short command should.
    """
    if "://" in text and "@" in text:
        text = re.sub(_USER, r"\1***@", re.sub(_USER_PASSWORD, r"\1\2:***@", text))
    if "://" in text and "?" in text:
        text = re.sub(_QUERY, r"\1***", text)
    if "=" in text or "'" in text or '"' in text:
        text = re.sub(_KEY, r"\1***", text)
    if "uthorization" in text.lower():
        text = re.sub(_HEADER, r"\1***", text)
    return text.encode(errors="replace").decode()


def redact_all(arguments: Sequence[str]) -> list[str]:
    """A command line that can be shown and kept: the values of flags that take a secret are left out, `@FILE` stays."""
    shown: list[str] = []
    before = ""
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if before.startswith("--") and re.fullmatch(_FLAG, before) and not argument.startswith("@"):
            shown.append("***")
        elif equals and re.fullmatch(_FLAG, flag) and not value.startswith("@"):
            shown.append(f"{flag}=***")
        else:
            shown.append(redact(argument))
        before = argument
    return shown


def redact_within(value: Any) -> Any:
    """Lists and dicts whose every text can be shown and kept."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_within(key): redact_within(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [redact_within(one) for one in value]
    return value


def bug_report(error: BaseException, arguments: Sequence[str], version: str) -> Path:
    """Write a bug's traceback, versions and command into a new log file, and say where it is."""
    import tempfile
    import traceback

    lines = [
        f"mlops {version}, Python {sys.version.split()[0]}, {sys.platform}",
        "command: " + " ".join(redact_all(arguments)),
        "",
        redact("".join(traceback.format_exception(error))),
    ]
    state = Path(os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()) / "mlops"
    for folder in (state, Path(tempfile.gettempdir())):
        path = folder / f"bug-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines))
        except OSError:
            continue
        return path
    return Path("(no place to write a log)")
