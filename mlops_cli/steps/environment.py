"""With what the work was done: versions, the code of mlops itself, the user's git commit."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops_cli import __version__


@functools.cache
def tool() -> str:
    """`mlops 0.1.0`, with a digest of the sources when they are not a fixed release (installed editable)."""
    package = Path(__file__).parents[1]
    if "site-packages" in package.parts or "dist-packages" in package.parts:
        return f"mlops {__version__}"
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"mlops {__version__}+{total.hexdigest()[:12]}"


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """The installed versions of distributions; what is not installed is left out."""
    import importlib.metadata  # reads mail: too slow for commands that make nothing

    found = {}
    for name in sorted(libraries):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe(libraries: Sequence[str]) -> dict[str, Any]:
    """The `environment` of a manifest."""
    described: dict[str, Any] = {"python": sys.version.split()[0], "packages": versions(libraries)}
    commit = _git("rev-parse", "HEAD")
    if commit:
        dirty = _git("status", "--porcelain", "--untracked-files=no")
        described["git"] = {"commit": commit, "dirty": bool(dirty)}
    return described


def actor() -> str:
    """Who does it: user@host, or `$MLOPS_ACTOR`."""
    named = os.environ.get("MLOPS_ACTOR")
    if named:
        return named
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def created() -> str:
    """Now in UTC, or the time that `$SOURCE_DATE_EPOCH` fixes."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch)) if epoch.isdigit() else time.gmtime())


def _git(*arguments: str) -> str | None:
    """What git says about the current directory; None outside a checkout or without git."""
    if not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
        return None
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
