"""Markdown that says what it was given and nothing else."""

from html import unescape

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlops_cli.reports import markdown
from mlops_cli.reports.html import Card, Cards, Columns, Figure, Matrix, Measure, Page, Section, Table, Text

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ALPHABET = st.sampled_from(list("ab1 _*`[]()<>&|#\\!~-+.\n\t\"'é:/="))
TEXTS = st.text(ALPHABET, max_size=24)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_any_text_is_read_back_as_it_was(text):
    html = PARSER.render("x " + markdown.escaped(text))
    assert unescape(html.strip().removeprefix("<p>").removesuffix("</p>")) == f"x {' '.join(text.split())}".strip()


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_a_line_of_its_own_is_a_paragraph(text):
    html = PARSER.render(markdown.escaped(text)).strip()
    assert html == "" or (html.startswith("<p>") and html.count("<") == 2)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_table_keeps_its_shape(rows):
    html = PARSER.render(markdown._table(["a", "b", "c"], rows))
    assert html.count("<td") == 3 * len(rows) and html.count("<tr>") == len(rows) + 1


def test_every_kind_of_block():
    page = Page(
        "A page",
        "what it is",
        [("fact", "value")],
        [
            Section("Numbers", [Cards([Card("f1", "0.9", "[0.8, 1.0]", "meaning")])], "text"),
            Section("", [Columns([Figure("<svg/>", "Chart", "how to read"), Table(["k"], [[1234]], frozenset({0}))])]),
            Section("Classes", [Matrix(["a", "b"], [[1, 2], [3, 4000]], "Confusion")]),
            Section("Cells", [Table(["k", "v"], [["x", None], ["y", Measure("1", "[0, 2]")], ["z", Text("t")]])]),
        ],
        ["foot"],
    )
    text = markdown.render(page)
    for words in (
        "# A page\n\nwhat it is\n\n- fact: **value**\n\n## Numbers\n\ntext\n",
        "| f1 | 0.9 \\[0.8, 1.0\\] | meaning |",
        "### Chart\n\nhow to read\n",
        "| 1,234 |",
        "| b | 3 | 4,000 |",
        "| x | – |",
        "*foot*\n",
    ):
        assert words in text, words
    assert "svg" not in text
