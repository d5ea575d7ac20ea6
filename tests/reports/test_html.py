"""Pages: everything escaped, nothing from elsewhere, the same bytes again, and no complaint from a real browser."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from browsing import needs_browser, opened
from PIL import Image

from mlops_cli.errors import MissingExtra
from mlops_cli.reports import charts, html
from mlops_cli.reports.html import (
    Bar,
    Card,
    Cards,
    Columns,
    Figure,
    Matrix,
    Measure,
    Page,
    Section,
    Table,
    Text,
)
from mlops_cli.reports.pictures import Picture, Pictures
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import evaluate_measure, evaluate_page
from mlops_cli.steps.evaluate_rows import Answers, Slice

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


def everywhere(text):
    """A page with a text in every place that takes one."""
    figure = Figure(charts.histogram([0.0, 1.0, 2.0], [3, 4], text, 1.0), text, text)
    pictures = Pictures([Picture([b"jpeg"], text, [text])], text, text)
    table = Table(
        (text, text, text), [(text, Measure(text, text, Bar(0.5, 0.4, 0.6, mark=0.1)), Text(text)), (text, None, 3)]
    )
    blocks = [
        Cards([Card(text, text, text, text, Bar(1, 0, 2))]),
        Columns([figure, Matrix([text], [[1]], text, text)]),
        table,
        pictures,
    ]
    return html.render(Page(text, text, [(text, text)], [Section(text, blocks, text)], [text]))


def evaluation(task):
    """The page of an evaluation on made-up rows, with names that are no friends of HTML."""
    rng = np.random.default_rng(0)
    rows = 400
    where = [Slice(EVIL, rng.integers(0, 3, rows), [EVIL, "b", "(null)"])]
    if task == "regression":
        actual = rng.gamma(2, 10, rows)
        answers = Answers(actual, actual + rng.normal(size=rows), None, [], 3, where)
        signature = Signature("lightgbm", "regression", EVIL, [])
    else:
        labels = (
            [False, True] if task == "binary" else [EVIL, *(f"c{code}" for code in range(20 if task == "many" else 3))]
        )
        actual = rng.integers(0, len(labels), rows)
        proba = rng.random((rows, len(labels))) + np.eye(len(labels))[actual]
        proba /= proba.sum(axis=1, keepdims=True)
        answers = Answers(actual, proba.argmax(axis=1), proba, labels, 0, where)
        positive = True if task == "binary" else None
        signature = Signature("lightgbm", "binary" if positive else "multiclass", EVIL, [], labels, positive)
    more = evaluate_page.More(pictures=photographs() if task == "images" else [])
    return evaluate_page.render(evaluate_measure.measure(answers, signature, seed=0, model="sha256:ab"), answers, more)


def photographs():
    """A section of pictures in two views, with names as bad as any."""
    file = io.BytesIO()
    Image.fromarray(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3)).save(file, "JPEG")
    shown = [Picture([file.getvalue()] * 2, EVIL, [EVIL, "x" * 300])] * 9
    return [Section(EVIL, [Pictures(shown), Columns([Pictures(shown, EVIL), Pictures(shown[:1])])])]


@pytest.mark.parametrize("task", ["binary", "few", "many", "regression"])
def test_evaluation_pages_are_safe_and_repeat_themselves(task):
    page = evaluation(task)
    assert page == evaluation(task)
    assert EVIL not in page
    assert "<script" not in page and "<img" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"20\d\d-\d\d-\d\d|/tmp|/home", page)
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page.replace('xmlns:xlink="', ""))


def test_every_text_is_escaped():
    page = everywhere(EVIL)
    assert "<script" not in page and page.count("<img") == 1 and "<img src" not in page
    assert page.count("&lt;script&gt;") >= 20


def test_ids_of_charts_do_not_meet():
    figure = Figure('<svg><clipPath id="clip0"></clipPath><g clip-path="url(#clip0)"/></svg>', "a")
    page = html.render(Page("t", "", [], [Section("s", [Columns([figure, figure])])]))
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) == 2
    assert sorted(re.findall(r"url\(#([^)]+)\)", page)) == sorted(ids)


def test_charts_are_static_svg():
    for svg in (
        charts.roc([0, 0.5, 1], [0, 0.9, 1]),
        charts.precision_recall([0, 1], [1, 0.2], 0.2),
        charts.calibration([0.1, 0.9], [0.2, 0.8]),
        charts.scores([0, 0.5, 1], [0.2, 0.8], [0.9, 0.1], ("a", "b"), 0.5),
        charts.thresholds([0, 0.5, 1], [0.2, 0.6, None], [1, 0.5, 0], 0.5),
        charts.density([0, 1, 2], [[1, 0], [0, 2]], ("x", "y")),
    ):
        assert svg.startswith("<svg") and "<script" not in svg
        assert len(svg) < 40_000
        assert "NaN" not in svg


def test_without_vl_convert_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingExtra) as caught:
        charts.roc([0, 1], [0, 1])
    assert caught.value.hint == "pip install 'mlops-cli[report]'"


@needs_browser
@pytest.mark.parametrize("task", ["binary", "few", "images", "regression"])
def test_a_browser_shows_it_without_a_word(task, tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(evaluation(task), encoding="utf-8")
    with opened(path, also="data:image/jpeg") as tab:
        assert tab.title().startswith(EVIL)
        assert tab.locator("figure").count() == {"binary": 7, "few": 3, "images": 3, "regression": 4}[task]
        charts_told = tab.locator('figure > svg[role="img"][aria-label]').count()
        assert charts_told == tab.locator("figure > svg").count() > 0
        sizes = tab.evaluate("[...document.images].map(image => [image.naturalWidth, image.width])")
        assert sizes == [[32, 112]] * (38 if task == "images" else 0)
