"""The entry script: whatever goes wrong, imports too, ends with an exit code that a script can trust."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run the command line; never end with Python's own 1, which would look like a finding."""
    gc.set_threshold(100_000, 50, 50)  # imports make objects that stay: looking through them costs 5 ms of 80
    try:
        _open_standard_files()
        from mlops_cli import cli

        code = cli.run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        sys.stderr.write(f"mlops: bug: {type(error).__name__}: {' '.join(str(error).split())}\n")
        code = 70
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        code = code or 8
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _end(code)


def _end(code: int) -> NoReturn:
    """End now: threads of polars that still work after an interruption would abort a Python that tears itself down."""
    atexit._run_exitfuncs()
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    os._exit(code)


def _open_standard_files() -> None:
    """Open standard files that were closed: else what is opened next would get their numbers, and our messages.

    Input is empty then, errors go nowhere, and output is a file that nothing can be written to, so that it is told.
    References are paths and may have any bytes; all we write is UTF-8, whatever the locale.
    """
    for number, name, mode in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, mode)
            if fd != number:
                os.dup2(fd, number)
                os.close(fd)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
