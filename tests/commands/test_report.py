"""`mlops report`: the account of a version, from its records alone, whatever is written in them."""

import json
import time
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
import watching as world
from markdown_it import MarkdownIt
from msgspec import UNSET

from mlops_cli.metrics.base import Certified, Decided, Measurements, Metric
from mlops_cli.runtime.costs import Costs
from mlops_cli.steps import report_measured
from mlops_cli.store import artefact, registry
from mlops_cli.store.manifest import Input
from mlops_cli.store.registry import Entry

NASTY = '<script>alert(1)</script> | [x](javascript:alert(1)) `a` **b**\n# head & "q"'
RAW = "sha256:" + "ab" * 32


@pytest.fixture
def flights(work):
    """Version 1 with an evaluation, a lineage down to a raw file, and nasty words in its records."""
    split = work / "split"
    split.mkdir()
    (split / "certificate.json").write_text("{}")
    parent = artefact.seal(
        split,
        kind="split",
        created="2026-01-01T00:00:00Z",
        tool="mlops 0",
        command=["mlops", "split", NASTY],
        inputs=[Input("file", RAW, "flights.csv")],
        params={"test": 0.2, "time": None},
    )
    made = world.model(Path("models/one"))
    proof = world._evaluation(Path("models/evaluation"), world.BINARY, 0.9)
    lineage = [json.loads((parent.path / "manifest.json").read_bytes())]
    store = registry.locate(None, create=True)
    store.register("flights", Entry(made, lineage, [proof], "ops <ops@example.org>", NASTY, "ann@host"))
    return work


def test_an_auditor_finds_whose_numbers_they_are_and_the_groups(flights, cli):
    """Which class is meant, by what threshold, what makes them doubtful, each group, and how the groups compare."""
    measured = Measurements(
        task="binary",
        target="won",
        rows=1000,
        positive=False,
        classes=[False, True],
        decided=Decided("platt", 0.25, "cost"),
        costs=Costs("EUR", [False, True], [[0.0, 1.0], [5.0, 0.0]]),
        certificate=Certified(False, ["12 rows are in two parts"]),
        metrics=[
            Metric("precision", 0.9, 0.88, 0.92, 1000),
            *(Metric("rows", float(n), None, None, n, "sex", level) for level, n in (("f", 400), ("m", 600))),
            *(Metric("selection_rate", v, v - 0.05, v + 0.05, 400, "sex", x) for x, v in (("f", 0.25), ("m", 0.5))),
            Metric("mcc", 0.31, 0.2, 0.4, 400, "sex", "f"),
            Metric("demographic_parity_ratio", 0.5, 0.4, 0.6, 1000, "sex"),
            Metric("demographic_parity_difference", None, None, None, 1000, "sex"),
            *(Metric("flip_rate", 0.125, 0.1, 0.15, 100, "missing", f"column {n:02}") for n in range(23)),
            Metric("changed_answers", 3.0, None, None, 100, "order"),
        ],
    )
    folder = flights / "models/groups"
    folder.mkdir()
    (folder / "metrics.json").write_bytes(msgspec.json.encode(measured))
    made = artefact.seal(
        folder, kind="evaluation", created="2026-01-02T00:00:00Z", tool="mlops 0", command=[], inputs=[]
    )
    registry.locate(None).add_evidence("flights", 1, made, "ann@host")
    text = cli("report", "flights@1").ref
    for words in (
        "are about won=false. Answers are decided so: probabilities calibrated by platt; false from a probability of "
        "0.25 on, chosen for cost. What errors cost is in EUR per row. They may flatter: the split is not clean: 12",
        "| sex | rows | selection_rate |\n| --- | --- | --- |\n| f | 400 | 0.25 \\[0.20, 0.30\\] |\n| m | 600 |",
        "| compared by sex | ratio | difference |",
        "| demographic_parity | 0.50 \\[0.40, 0.60\\] | undefined |",
        "| column 19 | 100 | 0.12",
        "| and 3 more |",
        "| changed_answers\\[order\\] | 3 |",
    ):
        assert words in text, words
    assert "0.31" not in text and "column 20" not in text
    plain = msgspec.structs.replace(measured, task="regression", positive=None, decided=UNSET, alpha=0.9, costs=Costs())
    assert (said := report_measured._about(plain)).startswith(" What is predicted is the quantile 0.9. They may")
    assert "cost" not in said
    page = cli("report", "flights@1", "--format", "html").ref
    assert "compared by sex" in page and "won=false" in page


def test_the_account_of_a_version(flights, cli):
    assert cli("promote", "flights@1", "production", "--require", "precision>=0.5", "--why", "first one").code == 0
    text = cli("report", "flights@production").ref
    for words in (
        "# flights@1",
        "Owner: **ops &lt;ops@example.org&gt;**",
        "by ann@host",
        "| precision | 0.900 \\[0.880, 0.920\\] | 1,000 |",
        "still",
        "first one",
        "precision&gt;=0.5 | pass | 0.9 \\[0.88, 0.92\\] |",
        f"| flights.csv | file | {RAW} |",
        "digest of the certificate",
        "category | 3 levels",
        "It answers won: false, true; positive is true.",
    ):
        assert words in text, words
    assert cli("report", "flights").ref == text == cli("report", "models:/flights/1").ref


def test_the_same_records_give_the_same_text(flights, cli):
    first = cli("report", "flights@1", "--format", "html").ref
    time.sleep(1.1)
    assert cli("report", "flights@1", "--format", "html").ref == first
    assert cli("report", "flights@1", "-o", "flights.md").ref == "flights.md"
    before = Path("flights.md").stat().st_mtime_ns
    cli("report", "flights@1", "-o", "flights.md")
    assert Path("flights.md").stat().st_mtime_ns == before
    world.register(tag="-two")
    assert cli("report", "flights@1", "--format", "html").ref == first  # production never named it


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src") or name.startswith("on")]
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""


def test_nothing_in_the_records_is_markup(flights, cli):
    assert cli("promote", "flights@1", "production", "--why", NASTY).code == 0
    page = Tags()
    page.feed(cli("report", "flights@1", "--format", "html").ref)
    assert "script" not in page.tags and "a" not in page.tags and page.links == []
    assert page.policy.startswith("default-src 'none'")
    text = cli("report", "flights@1").ref
    read = MarkdownIt("commonmark").enable("table").render(text)
    assert "<a " not in read and "<script" not in read and "<img" not in read
    assert all(line.count(" | ") == 4 for line in text.splitlines() if line.startswith("| production"))


def test_json_for_programs(flights, cli):
    story = json.loads(cli("report", "flights@1", "--format", "json").ref)
    assert (story["name"], story["version"], story["record"]["note"]) == ("flights", 1, NASTY)
    assert story["lineage"][0]["inputs"][0]["id"] == RAW
    assert json.loads(cli("report", "flights@1", "--json").ref)["exit"] == 0
    assert json.loads(cli("report", "flights@1", "--json", "-o", "x.md").ref) == {"exit": 0, "ref": "x.md"}


def test_what_was_on_record_at_a_time(flights, cli):
    assert cli("promote", "flights@1", "production").code == 0
    store = registry.locate(None)
    time.sleep(0.02)
    moment = store.moves("flights", "production")[0].at
    before = store.version("flights", 1).at
    world.register(tag="-two")
    assert "# flights@2" in cli("report", "flights@production").ref
    then = cli("report", "flights@production", "--at", moment).ref
    assert "# flights@1" in then and f"As it was known at {moment}" in then and "still" in then
    assert "# flights@1" in cli("report", "flights", "--at", moment).ref
    assert "(version 2)" in cli("report", "flights@1").ref
    assert "No alias has named" in cli("report", "flights@1", "--at", before).ref
    assert cli("report", "flights@production", "--at", before).code == 4
    assert cli("report", "flights@2", "--at", moment).code == 4
    assert cli("report", "flights", "--at", "2001-01-01").code == 4


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("flights@1", "--format", "pdf"), 2, "--format 'pdf' is unknown"),
        (("flights@1", "--at", "soon"), 2, "is not a time"),
        (("flights@9",), 4, "no such version"),
        (("ships",), 4, "ships"),
        (("models/one",), 2, "is not a registered version"),
        (("flights@1", "-o", "missing/x.md"), 8, "cannot write missing/x.md"),
    ],
)
def test_bad_input_is_one_line(flights, cli, arguments, code, says):
    ended = cli("report", *arguments)
    assert ended.code == code and says in ended.err and ended.out == ""


def test_a_changed_object_is_not_told(flights, cli):
    store = registry.locate(None)
    stored = store.object(store.version("flights", 1).object)
    file = stored.path / "signature.json"
    file.write_bytes(file.read_bytes().replace(b"won", b"wom"))
    assert cli("report", "flights@1").code == 5
