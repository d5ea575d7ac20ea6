"""The entry script: whatever goes wrong, imports too, ends with an exit code that a script can trust."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; never end with Python's own 1, which would look like a finding."""
    try:
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
        code = code or 141
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


if __name__ == "__main__":
    main()
