"""What flows between commands: references and tables from arguments or stdin; the only writer of stdout here."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlops_cli import logs
from mlops_cli.commands._progress import Progress
from mlops_cli.errors import BROKEN_PIPE, EmptyInput, InputUnusable, Usage

if TYPE_CHECKING:
    from mlops_cli.steps.context import Context
    from mlops_cli.steps.memo import Outcome, Output, Verdict
    from mlops_cli.steps.references import Given
    from mlops_cli.steps.stream import TableStream

STOPPING = ("ingest", "validate", "split", "train", "evaluate", "predict", "package", "register")
_MAGIC = {b"\xff\xff\xff\xff": "arrow", b"ARROW1": "feather", b"PAR1": "parquet", b"{": "ndjson"}


class _Stdout:
    """What has been written to standard output: nothing, a stream that is not whole, or all there was."""

    state = "clean"


class Session:
    """One run of a command: its input, where it tells people things, and how its result is printed."""

    def __init__(
        self, command: str, *, json: bool, quiet: bool, verbose: bool, force: bool, registry: str | None
    ) -> None:
        from mlops_cli.steps.context import Context

        self.command, self.json, self.quiet, self.verbose = command, json, quiet, verbose
        self.progress = Progress(quiet=quiet)
        _check_names(*sys.argv[1:], str(Path.cwd()))
        arguments = ("mlops", *logs.redact_all(sys.argv[1:]))
        self.context: Context = Context(self.note, self.progress, registry, force, arguments)
        self._streaming = False

    def note(self, line: str) -> None:
        """Tell people something on standard error."""
        if not self.quiet:
            self.progress.close()
            tell(f"mlops {self.command}: {line}")

    def given(self, argument: str | None, *, optional: bool = False) -> Given:
        """What the command was pointed at: the argument, else what is on standard input."""
        from mlops_cli.steps.references import Given, check_stop

        if argument is not None and argument != "-":
            check_stop(argument)
            return Given(argument)
        if argument is None and sys.stdin.isatty():
            if optional:
                return Given()
            raise Usage("nothing to work on", f"see mlops {self.command} --help")
        return read_stdin(sys.stdin.buffer)

    def output(self, out: str | None, reject: str | None = None) -> Output:
        """Where the artefact goes."""
        from mlops_cli.steps.memo import Output

        return Output(out, reject)

    def streaming(self, out: str | None) -> bool:
        """Whether the table itself is to go to standard output; refused on a terminal."""
        if out != "-":
            return False
        if sys.stdout.isatty():
            raise Usage("a table in binary form would go to the terminal", "pipe it, or write it with -o PATH")
        return True

    def stream(self, table: TableStream) -> None:
        """Write a table to standard output; the stop line in place of its end marker when the verdict is not a pass."""
        from mlops_cli.steps import stream

        _Stdout.state = "streaming"
        with _hanging_up():
            verdict = stream.write(table, sys.stdout.buffer)
        if self.json:
            import json

            tell(json.dumps({"exit": verdict.exit, **table.summary()}, default=str))
        self._verdict(verdict)
        if verdict.exit:
            raise SystemExit(verdict.exit)
        _Stdout.state = "done"

    def finish(self, outcome: Outcome) -> None:
        """Print the reference or the JSON object, tell the verdict, and end with its code."""
        if outcome.cached:
            self.note("cached")
        self._verdict(outcome.verdict)
        for line in outcome.notes:
            self.note(line)
        if self.json:
            self.print_json(_described(outcome), outcome.exit)
        elif outcome.exit == 0:
            self.print(outcome.ref)
        elif outcome.artefact:
            self.note(f"the result is in {outcome.ref}")
        if outcome.exit:
            raise SystemExit(outcome.exit)

    def print(self, text: str) -> None:
        """Write the result, a line or a text, to standard output."""
        self.progress.close()
        _Stdout.state = "done"
        with _hanging_up():
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            sys.stdout.flush()

    def print_json(self, value: Any, exit: int = 0) -> None:
        """Write one JSON object to standard output; structs are written as objects, NaN as null."""
        import msgspec

        fields = logs.redact_within(msgspec.to_builtins(value, str_keys=True))
        self.print(msgspec.json.encode({"exit": exit, **fields}).decode())

    def _verdict(self, verdict: Verdict) -> None:
        """Tell what was decided and why."""
        for line in verdict.lines:
            if verdict.exit and self.quiet:
                tell(f"mlops {self.command}: {line}")  # why it ends with that code is no chatter
            self.note(line)


@contextlib.contextmanager
def session(
    command: str,
    *,
    json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    force: bool = False,
    registry: str | None = None,
) -> Iterator[Session]:
    """A run of a command; the progress bar is gone when it ends, however it ends."""
    run = Session(command, json=json, quiet=quiet, verbose=verbose, force=force, registry=registry)
    try:
        yield run
    finally:
        run.progress.close()


def read_stdin(file: BinaryIO) -> Given:
    """Tell apart what is on standard input by its first bytes: a table, one line with a reference, or a stop."""
    from mlops_cli.steps.references import Given, Stdin, check_stop

    head = _read(file, 6)
    if not head:
        raise EmptyInput("standard input is empty", "the command before it printed nothing, or nothing was piped in")
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return Given(stdin=Stdin(kind, io.BufferedReader(_Pushback(head, file), 1 << 20)))
    text = head + file.read(1 << 16)
    first, _, rest = text.partition(b"\n")
    line = first.decode("utf-8", "replace").strip()
    if rest.strip() or "\0" in line or len(first) > 4096:
        raise InputUnusable(
            "standard input is neither a reference nor a table", "mlops ingest - reads CSV and other data"
        )
    check_stop(line)
    if not line:
        raise EmptyInput("standard input is empty", "the command before it printed nothing")
    return Given(line)


def _check_names(*names: str) -> None:
    """Refuse names that are not UTF-8: manifests cannot hold them, and polars cannot open them."""
    for name in names:
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise InputUnusable(f"{name}: this name is not UTF-8", "rename it")


def is_clean() -> bool:
    """Whether nothing has been written to standard output."""
    return _Stdout.state == "clean"


def stop(command: str, code: int) -> None:
    """Tell the command behind us in the pipe that we ended without a result, unless it has one."""
    if _Stdout.state == "done":
        return
    if _Stdout.state == "streaming" or (command in STOPPING and _is_pipe()):
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stdout.buffer.write(f"mlops:stop:{code}:{command}\n".encode())
            sys.stdout.flush()
    _Stdout.state = "done"


def tell(line: str) -> None:
    """A line on standard error, if there is one; control characters from data are not passed on."""
    clean = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in logs.redact(line))
    with contextlib.suppress(OSError, ValueError):
        print(clean, file=sys.stderr, flush=True)  # noqa: T201  # the one place


def abandon_stdout() -> None:
    """Point standard output at nothing, after its reader has gone, so that closing it at exit does not fail again."""
    _Stdout.state = "done"
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def _hanging_up() -> Iterator[None]:
    """End in silence with 141 when the reader has gone; Typer would make it 1, which means something else."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        abandon_stdout()
        raise SystemExit(BROKEN_PIPE) from None


def _is_pipe() -> bool:
    """Whether standard output is a pipe."""
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    return False


def _described(outcome: Outcome) -> dict[str, Any]:
    """What `--json` tells of an outcome."""
    described: dict[str, Any] = {"ref": outcome.ref, "cached": outcome.cached}
    if outcome.artefact:
        described |= {"kind": outcome.artefact.kind, "id": outcome.artefact.id}
    if outcome.rejects:
        described["rejects"] = str(outcome.rejects.path)
    if outcome.verdict.details is not None:
        described["verdict"] = outcome.verdict.details
    return described | outcome.measured


def _read(file: BinaryIO, size: int) -> bytes:
    """The first bytes of a pipe, which may come in pieces."""
    data = b""
    while len(data) < size:
        part = file.read(size - len(data))
        if not part:
            break
        data += part
    return data


class _Pushback(io.RawIOBase):
    """A file whose first bytes have been read already."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head, self._file = head, file

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """First the bytes that were read, then the file's."""
        data = self._head[: len(buffer)]
        if data:
            self._head = self._head[len(data) :]
        else:
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
