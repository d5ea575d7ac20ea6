"""`python -m mlops_cli.runtime DIR`: serve one model directory, with the standard library's own command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

# numpy is used for small arrays only: idle threads of its linear algebra would cost memory in every worker.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mlops_cli import __version__
from mlops_cli.errors import BROKEN_PIPE, BUG, INTERRUPTED, MissingExtra, MlopsError, Stopped
from mlops_cli.runtime import messages
from mlops_cli.runtime.settings import Flags, Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; the exit code. Errors are one line on stderr, as everywhere."""
    arguments = _parser().parse_args(argv)
    try:
        directory = Path(arguments.directory)
        flags = Flags(**{field.name: getattr(arguments, field.name) for field in fields(Flags)})
        told = flags.settings(directory, arguments.name or directory.resolve().name, arguments.model_version)
        return _serve(told, arguments.stdio)
    except Stopped as error:
        return error.exit
    except MlopsError as error:
        messages.complain(error)
        return error.exit
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is still in the buffer of stdout must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        messages.Reporter(messages.to_stderr)(error)
        return BUG


def _serve(told: Settings, stdio: bool) -> int:
    """Serve as told, over HTTP or over stdin and stdout; the exit code."""
    if stdio:
        from mlops_cli.runtime import stdio as streams

        return streams.run(told, sys.stdin.buffer, sys.stdout.buffer, messages.to_stderr)
    try:
        from mlops_cli.runtime import server
    except ImportError as error:
        raise MissingExtra.of(error.name or "uvicorn", "serve") from None
    return server.run(told, messages.to_stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m mlops_cli.runtime", description="Serve one model directory.")
    add = parser.add_argument
    parser.add_argument("--version", action="version", version=__version__)
    add("directory", metavar="DIR", help="a model directory, as `mlops train` writes it")
    add("--name", help="the model's name in the protocols (default: the name of DIR)")
    add("--model-version", metavar="V", help="the model's registered version")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8080, help="port to listen on, 0 for any free one (default: %(default)s)")
    add("--workers", type=int, default=1, help="processes (default: %(default)s)")
    add("--log", metavar="LOG", help="directory of the prediction log")
    add("--key", metavar="COLUMN", help="a column that identifies a row in the log; need not be one of the model's")
    add("--log-columns", metavar="A,B", help="log only these inputs")
    add("--log-redact", metavar="A,B", help="log *** instead of the values of these inputs")
    add("--retain", metavar="DAYS", help="remove the log's days older than this, e.g. 30d")
    add("--token-file", metavar="FILE", help="tokens, one a line; a request needs Authorization: Bearer TOKEN")
    add("--max-body", default="16MB", metavar="SIZE", help="largest body of a request (default: %(default)s)")
    add("--max-rows", type=int, default=100_000, metavar="N", help="most rows in a request (default: %(default)s)")
    add("--drain-seconds", type=float, default=2.0, metavar="S", help="accept for so long after SIGTERM (default: 2)")
    add("--stdio", action="store_true", help="rows or image files on stdin, answers on stdout, no port")
    add("--context", metavar="A=V,…", help="with --stdio: columns that every row has, e.g. camera=north")
    add("--rules", default="warn", metavar="MODE", help="rows that break the model's rules: off, warn, reject")
    return parser


if __name__ == "__main__":
    sys.exit(main())
