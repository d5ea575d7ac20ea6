"""The account of a registered version as a page, to be rendered as Markdown or HTML."""

from __future__ import annotations

from typing import Any

from mlops_cli.metrics.base import text_of
from mlops_cli.reports.html import Block, Cell, Measure, Page, Section, Table, Text
from mlops_cli.steps import report_measured, report_story
from mlops_cli.steps.report_story import Held, Story
from mlops_cli.store import manifest

_CLASSES = 40


def page(story: Story) -> Page:
    """The whole account, in the order in which one asks: what, how good, who decided, where from, what exactly."""
    signature = story.signature
    task = f"A {signature.task} model ({signature.family}) of {signature.target}" if signature else "A model"
    now = [one.alias for one in story.held if one.until is None]
    facts = [
        ("Registered", f"{story.record.at} by {story.record.by}"),
        ("Owner", story.record.owner or "nobody"),
        ("Aliases", ", ".join(now) or "none"),
        ("Note", story.record.note or "none"),
        ("Content", story.record.id),
    ]
    when = f" As it was known at {story.as_of}." if story.as_of else ""
    return Page(
        title=f"{story.name}@{story.version}",
        text=f"{task}, version {story.version} of {story.name}.{when}",
        facts=facts,
        sections=[
            *report_measured.sections(story),
            _decisions(story),
            _inputs(story),
            _training(story),
            _lineage(story),
            *_files(story),
        ],
        foot=[
            "Every line is taken from the registry's records; times are UTC.",
            "Numbers in brackets are 95 % intervals.",
        ],
    )


def _decisions(story: Story) -> Section:
    """Which alias named the version, from when to when, why, and by what gates."""
    if not story.held:
        return Section("Decisions", [], "No alias has named this version.")
    rows: list[list[Cell]] = [[one.alias, one.since, _until(one), one.by, Text(_why(one))] for one in story.held]
    blocks: list[Block] = [Table(["alias", "since", "until", "by", "why"], rows)]
    judged = report_story.judgements(story)
    asked = any(gate.get("severity") for _, gate in judged)
    gates = [_gate(one, gate, asked) for one, gate in judged]
    if gates:
        more = ["severity", "owner", "asked because"] if asked else []
        blocks.append(Table(["alias", "since", "gate", "answer", "measured", "reason", *more], gates))
    return Section(
        "Decisions", blocks, _policies(story) if gates else "No gates were asked when an alias was moved to it."
    )


def _policies(story: Story) -> str:
    """Which policy each move was judged by."""
    told = []
    for one in story.held:
        policy = one.verdict.get("policy")
        if isinstance(policy, dict):
            owner = f" of {policy['owner']}" if policy.get("owner") else ""
            told.append(f"{one.alias} since {one.since}: by the policy{owner} with the digest {policy.get('digest')}.")
    return " ".join(told)


def _why(held: Held) -> str:
    """The reason of a move, and that for which leaks of the split were accepted."""
    accepted = held.verdict.get("accepted_leaks")
    return "; ".join(filter(None, [held.why, accepted and f"leaks accepted: {accepted}"])) or "–"


def _gate(held: Held, gate: dict[str, Any], asked: bool) -> list[Cell]:
    """One gate of a promotion, as its record has it."""
    value, low, high = (gate.get(end) for end in ("value", "low", "high"))
    interval = f"[{low:.4g}, {high:.4g}]" if isinstance(low, float) and isinstance(high, float) else ""
    measured = Measure(f"{value:.4g}", interval) if isinstance(value, int | float) else None
    reason = Text(str(gate.get("reason") or ""))
    cells: list[Cell] = [held.alias, held.since, str(gate.get("gate")), str(gate.get("answer")), measured, reason]
    if asked:
        texts = str(gate.get("owner") or "nobody"), str(gate.get("why") or "")
        cells += [str(gate.get("severity") or "block"), *map(Text, texts)]
    return cells


def _until(held: Held) -> str:
    return "still" if held.until is None else f"{held.until} (version {held.successor})"


def _inputs(story: Story) -> Section:
    """The columns that the model takes, what it makes of them, and what it left out."""
    if story.signature is None:
        return Section("Inputs", [], "The model does not say what it takes.")
    uses = {one.name: one for one in story.features.columns} if story.features else {}
    rows: list[list[Cell]] = []
    for column in story.signature.columns:
        use = uses.get(column.name)
        detail = (
            "" if use is None else f"{len(use.levels)} levels" if use.levels is not None else ", ".join(use.parts or ())
        )
        rows.append(
            [column.name, column.type, "no" if column.nullable else "yes", use.use if use else None, Text(detail)]
        )
    for column in story.signature.context:
        rows.append([column.name, column.type, "no", None, Text("logged with an answer, not seen by the model")])
    blocks: list[Block] = [Table(["column", "type", "required", "used as", "detail"], rows)]
    if story.features and story.features.dropped:
        blocks.append(Table(["left out", "why"], [[one.name, Text(one.reason)] for one in story.features.dropped]))
    classes = story.signature.classes
    answer = f"{story.signature.target}, a number"
    if classes is not None:
        answer = f"{story.signature.target}: {', '.join(text_of(label) for label in classes[:_CLASSES])}"
        if story.signature.positive is not None:
            answer += f"; positive is {text_of(story.signature.positive)}"
    measured = ", ".join(column.name for column in story.signature.measured)
    instead = f" Of each image these are logged in its place: {measured}." if measured else ""
    return Section("Inputs and answer", blocks, f"It answers {answer}.{instead}")


def _training(story: Story) -> Section:
    """How the model was made: parameters, seed, code, machine."""
    made = story.model
    packages = made.environment.get("packages") or {}
    git = made.environment.get("git") or {}
    rows: list[list[Cell]] = [
        ["created", Text(made.created)],
        ["by", Text(made.tool)],
        ["command", Text(" ".join(made.command))],
        ["seed", Text("none" if made.seed is None else str(made.seed))],
    ]
    rows += [[f"parameter {name}", Text(_plain(value))] for name, value in made.params.items()]
    rows += [
        ["python", Text(str(made.environment.get("python", "unknown")))],
        ["packages", Text(", ".join(f"{name} {version}" for name, version in packages.items()) or "unknown")],
    ]
    if git:
        rows.append(["git commit", Text(f"{git.get('commit')}{' with changes' if git.get('dirty') else ''}")])
    return Section("Training", [Table(["what", "value"], rows)])


def _lineage(story: Story) -> Section:
    """From the model back to the raw files, by digest."""
    head = ["what", "made", "command", "digest of its content"]
    rows: list[list[Cell]] = [
        [f"{one['kind']}", one["created"], Text(" ".join(one["command"])), Text(one["id"])] for one in story.lineage
    ]
    blocks: list[Block] = [Table(head, rows)] if rows else []
    ends = report_story.raw_inputs(story)
    if ends:
        raw: list[list[Cell]] = [[one["ref"], one["kind"], Text(one["id"] or "not known")] for one in ends]
        blocks.append(Table(["read from", "kind", "digest"], raw))
    certificates = [(m, f) for m in story.lineage for f in m.get("files", []) if f["path"] == "certificate.json"]
    for split, file in certificates:
        params = split.get("params", {}).items()
        made = {name: value for name, value in params if value not in (None, []) and name != "stream"}
        facts: list[list[Cell]] = [[name, Text(_plain(value))] for name, value in made.items()]
        facts.append(["digest of the certificate", Text(f"sha256:{file['sha256']}")])
        blocks.append(Table(["the split", "value"], facts))
    return Section("Where it comes from", blocks, "" if blocks else "Nothing is on record.")


def _files(story: Story) -> list[Section]:
    """The evidence and the payload, by digest."""
    proofs: list[list[Cell]] = [[one.kind, one.at, one.by, Text(one.id)] for one in story.evidence]
    evidence = [Table(["evidence", "added", "by", "digest of its content"], proofs)] if proofs else []
    files: list[list[Cell]] = [[one.path, one.bytes, Text(f"sha256:{one.sha256}")] for one in story.model.files]
    check = f"mlops inspect {story.name}@{story.version} --verify compares every digest."
    return [
        Section("Evidence", evidence, "" if proofs else "None."),
        Section(
            "What exactly",
            [Table(["file", "bytes", "digest"], files, frozenset({1}))],
            f"The stored object is {story.record.object}; {check}",
        ),
    ]


def _plain(value: Any) -> str:
    """A parameter as text."""
    return value if isinstance(value, str) else manifest.canonical(value).decode()
