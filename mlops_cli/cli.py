"""The commands in pipeline order, and the one place where exceptions become exit codes."""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mlops_cli import __version__, config, errors, interrupts, logs
from mlops_cli.commands import _pipe
from mlops_cli.errors import MlopsError

COMMANDS = {
    "ingest": "Read data from files, URLs, databases or standard input into a dataset.",
    "validate": "Check a dataset against rules; keep the rows that pass.",
    "split": "Divide a dataset into train, valid and test parts.",
    "train": "Fit a model on a split.",
    "evaluate": "Measure a model, and judge it by gates.",
    "package": "Make a container image of a model.",
    "register": "Give a model a name and a version in the registry.",
    "promote": "Move an alias, such as production, to a version, if the gates hold.",
    "predict": "Answer the rows of a table.",
    "serve": "Answer requests over HTTP, or rows on standard input.",
    "watch": "Judge a served model by its log and what really happened.",
    "report": "Tell the story of a registered version.",
    "inspect": "Say what something is, where it comes from, and whether it is intact.",
    "list": "Show what the registry holds.",
    "gc": "Remove what the workspace and the registry no longer need.",
    "demo": "Run a model's whole life on built-in flights, offline.",
}

_NAMES = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
_CLICK_ERROR = typer.BadParameter.__mro__[2]


class _Commands(TyperGroup):
    """Commands that are imported when they are called; help is printed from the table alone."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """All names, in pipeline order."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """The command of that name, its module imported now."""
        if cmd_name not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(cmd_name, COMMANDS, 1)
            raise errors.Usage(
                f"no command {cmd_name!r}", f"did you mean {near[0]}?" if near else "mlops --help lists the commands"
            )
        command = build(cmd_name)
        file = config.load(ctx.params.get("config"))  # the callback below has not run yet
        known = {parameter.name or "" for parameter in command.params}
        ctx.default_map = {cmd_name: file.defaults(cmd_name, known, COMMANDS)}
        return command

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """The commands with a line each."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def build(name: str) -> Any:
    """The command object of one command."""
    module = importlib.import_module(f"mlops_cli.commands.{name}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings = getattr(module, "SETTINGS", {})
    context = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": f"MLOPS_{name.upper()}", **settings}
    app.command(name, context_settings=context)(module.main)
    command = typer.main.get_command(app)
    command.name = name
    for parameter in command.params:
        # Every flag has one, MLOPS_COMMAND_FLAG: that is said once, in the documentation.
        parameter.show_envvar = False  # type: ignore[attr-defined]
    return command


def _version(value: bool) -> None:
    """Print the version and end."""
    if value:
        typer.echo(f"mlops {__version__}")
        raise typer.Exit


def application() -> Any:
    """The group of all commands."""
    app = typer.Typer(
        cls=_Commands,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        config: Annotated[
            str | None,
            typer.Option(
                metavar="FILE", envvar="MLOPS_CONFIG", help="Defaults of flags from there, not from mlops.toml."
            ),
        ] = None,
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
        ] = False,
    ) -> None:
        """A machine-learning model's whole life: files in, files out; chain the commands with |, make and cron."""

    return typer.main.get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code."""
    interrupts.install()
    command = next((word for word in arguments if word in COMMANDS), "")
    as_json = "--json" in arguments
    try:
        code = _main(arguments)
        sys.stdout.flush()
    except BaseException as error:
        code = _code(error, command, as_json, arguments)
    if code and not (as_json and _pipe.is_clean()):
        _pipe.stop(command, code)
    return code


def _main(arguments: Sequence[str]) -> int:
    """Hand over to Typer, whose own handling of errors is left out."""
    words = _hoisted(arguments) or ["--help"]
    result = application().main(words, prog_name="mlops", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _hoisted(arguments: Sequence[str]) -> list[str]:
    """`--config FILE` and `--version` moved to the front: they may stand behind the command as other flags do."""
    front, words = [], list(arguments)
    position = 0
    while position < len(words) and words[position] != "--":
        word = words[position]
        size = 2 if word == "--config" and position + 1 < len(words) else 1
        if size == 2 or word == "--version" or word.startswith("--config="):
            front += words[position : position + size]
            del words[position : position + size]
        else:
            position += 1
    return front + words


def _code(error: BaseException, command: str, as_json: bool, arguments: Sequence[str]) -> int:
    """Tell what happened in one line, and say with what code to end."""
    if isinstance(error, SystemExit) and isinstance(error.__context__, OSError):
        error = error.__context__  # Typer has made EPIPE an exit with 1, while it printed help
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else errors.BUG if error.code else 0
    if isinstance(error, errors.Stopped):
        return error.exit
    if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
        _pipe.abandon_stdout()
        return errors.BROKEN_PIPE
    if interrupts.code():
        return interrupts.code()
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return errors.INTERRUPTED
    known = _known(error, command)
    if known is not None:
        _tell(known, command, as_json)
        return known.exit
    path = logs.bug_report(error, ["mlops", *arguments], __version__)
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    _pipe.tell(f"mlops {command}: bug: this is a mistake in mlops ({what})".replace(" :", ":"))
    _pipe.tell(f"hint: please report it with {path}")
    return errors.BUG


def _known(error: BaseException, command: str) -> MlopsError | None:
    """The error as one of ours, None when it is a bug."""
    if isinstance(error, MlopsError):
        return error
    if isinstance(error, _CLICK_ERROR):
        return errors.Usage(error.format_message(), f"mlops {command} --help".replace("  ", " "))  # type: ignore[attr-defined]
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("mlops_cli"):
        return errors.MissingExtra.of(error.name or "a library", "all")
    if isinstance(error, OSError) and error.errno in _NAMES and error.filename is not None:
        return errors.Missing(f"{_text(error.filename)[:200]}: {str(error.strerror).lower()}")
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{_text(error.filename)}: " if error.filename is not None else ""
        hints = {errno.ENOSPC: "free some space, or write elsewhere with -o", errno.EROFS: "write elsewhere with -o"}
        return errors.Outside(f"{where}{error.strerror}", hints.get(error.errno, ""))
    if isinstance(error, MemoryError):
        return errors.Outside("out of memory", "use a smaller table, --limit or --columns")
    return None


def _text(name: object) -> str:
    """A file's name as text."""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _tell(error: MlopsError, command: str, as_json: bool) -> None:
    """One line, then the hint; or one JSON object."""
    if as_json:
        import json

        fields = {"error": error.word, "message": logs.redact(error.message), "hint": error.hint, "exit": error.exit}
        _pipe.tell(json.dumps({"command": command, **fields}))
        return
    _pipe.tell(f"mlops {command}: {error.word}: {error.message}".replace("mlops :", "mlops:"))
    if error.hint:
        _pipe.tell(f"hint: {error.hint}")
