"""Tell the story of a registered version from its records, as Markdown, HTML, JSON or CycloneDX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlops_cli.errors import Outside, Usage
from mlops_cli.reports import html, markdown
from mlops_cli.steps import report_cyclonedx, report_page, report_story
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given, check_stop
from mlops_cli.steps.report_story import Story
from mlops_cli.store import files, records, registry

FORMATS = ("md", "html", "json", "cyclonedx")
_NAMED = re.compile(r"(models:/)?([a-z0-9][a-z0-9._-]{0,63})(?:(?(1)[@/]|@)([a-z0-9][a-z0-9._-]{0,63}))?")


@dataclass(frozen=True)
class Options:
    """`format` is one of FORMATS; `at` a time (ISO 8601): the account is then of what was on record at that moment."""

    format: str = "md"
    at: str | None = None


def run(ctx: Context, given: Given, options: Options) -> tuple[str, Story]:
    """The account as text, the same for the same records, and what it was made from.

    Errors: Usage for another format, a bad time, or what is no registered name; Missing; Corrupt; Integrity.
    """
    if options.format not in FORMATS:
        raise Usage(f"--format {options.format!r} is unknown", f"there is: {', '.join(FORMATS)}")
    if given.ref is None:
        raise Usage("a report is about a registered version", "name it: NAME, NAME@7 or NAME@alias")
    check_stop(given.ref)
    named = _NAMED.fullmatch(given.ref)
    if named is None:
        raise Usage(f"{given.ref} is not a registered version", "mlops register gives a model a name")
    as_of = None if options.at is None else records.parse_time(options.at)
    store = registry.locate(ctx.registry)
    number = report_story.version_at(store, named[2], named[3], as_of)
    story = report_story.gather(store, named[2], number, as_of)
    return _rendered(story, options.format), story


def write(path: Path, text: str) -> None:
    """Write the account in one step; a file that already says so is left untouched. Outside when it cannot be."""
    data = text.encode()
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        files.replace(path, data)
    except OSError as error:
        raise Outside(f"cannot write {path}: {error.strerror}", "choose another path for -o") from None


def _rendered(story: Story, form: str) -> str:
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(story), indent=1).decode() + "\n"
    if form == "cyclonedx":
        return msgspec.json.format(msgspec.json.encode(report_cyclonedx.document(story)), indent=1).decode() + "\n"
    page = report_page.page(story)
    return html.render(page) if form == "html" else markdown.render(page)
