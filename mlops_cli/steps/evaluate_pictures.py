"""The pictures of an evaluation: the worst errors and examples of what is taken for what, as small JPEGs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from mlops_cli.metrics import shapes
from mlops_cli.reports.html import Columns, Section
from mlops_cli.reports.pictures import SIDE, Picture, Pictures
from mlops_cli.runtime import decision, images, predictors
from mlops_cli.runtime.columns import Column
from mlops_cli.runtime.image_model import Model
from mlops_cli.runtime.signature import Signature
from mlops_cli.sources.names import exactly
from mlops_cli.steps import batches, explain, processors, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.evaluate_measure import counts
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.evaluate_worst import losses
from mlops_cli.steps.tables import Table

# Pictures of pure noise take 750 kB in base64: a page with as many of them stays below a megabyte.
WORST = 24
_PAIRS, _EACH = 5, 3
_COLOUR = np.array([255.0, 84.0, 0.0])
_TEXT = 48


@dataclass(frozen=True)
class Chosen:
    """Which answers (indices) are shown: the worst errors, and by pair of labels (actual, predicted, rows) examples."""

    worst: list[int]
    pairs: list[tuple[int, int, int, list[int]]]

    @property
    def all(self) -> list[int]:
        """Every one once, the worst first."""
        return list(dict.fromkeys([*self.worst, *(each for *_, some in self.pairs for each in some)]))


def choose(answers: Answers) -> Chosen:
    """The worst errors, highest loss first; of the commonest confusions the worst that are not among them, if any."""
    lost = losses(answers)
    order = np.argsort(-lost, kind="stable")
    wrong = order[lost[order] > 0]
    worst = wrong[:WORST].tolist()
    if answers.proba is None:
        return Chosen(worst, [])
    pairs = []
    for actual, predicted, rows in shapes.confused(counts(answers), _PAIRS):
        own = wrong[(answers.actual[wrong] == actual) & (answers.predicted[wrong] == predicted)].tolist()
        fresh = sorted(own, key=lambda each: each in worst)
        pairs.append((actual, predicted, rows, fresh[:_EACH]))
    return Chosen(worst, pairs)


def sections(
    ctx: Context, model: Path, table: Table, signature: Signature, answers: Answers, *, explained: bool
) -> list[Section]:
    """The sections of the page; with `explained` each of the worst errors also shows where the model looked.

    `table` is read again for the images that are shown. Errors: those of reading; Usage when the model cannot explain.
    """
    chosen = choose(answers)
    data = _bytes(table, signature, answers, chosen.all)
    seen = _looked_at(ctx, model, [data[each] for each in chosen.worst]) if explained else []
    small = {each: thumbnail(data[each]) for each in chosen.all}
    made = {each: Picture([view], *_said(answers, each)) for each, view in small.items()}
    worst = [made[each] for each in chosen.worst]
    if explained:
        worst = [replace(one, views=[*one.views, view]) for one, view in zip(worst, seen, strict=True)]
    return [_worst(worst, answers, explained), *_pairs(chosen, made, answers)]


def thumbnail(data: bytes) -> bytes:
    """An image as a JPEG of at most SIDE pixels each way."""
    small = images.opened(data).copy.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return _jpeg(small)


def overlaid(view: NDArray[np.uint8], heat: NDArray[np.float32]) -> bytes:
    """What a model sees, (height, width, channels), in grey, coloured where hiding it takes most from the answer."""
    height, width = view.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(view[..., 0] if view.shape[2] == 1 else view).convert("L").resize(size)
    grey = np.repeat(np.asarray(picture, np.float64)[..., None], 3, axis=2)
    top = max(float(heat.max()), 0.01)  # where nothing matters, nothing is coloured
    drop = Image.fromarray((heat / top).clip(0, 1).astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    share = 0.8 * np.asarray(drop, np.float64)[..., None]
    return _jpeg(Image.fromarray((grey * (1 - share) + _COLOUR * share).round().astype(np.uint8)))


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    return file.getvalue()


def _bytes(table: Table, signature: Signature, answers: Answers, wanted: Sequence[int]) -> dict[int, bytes]:
    """The files of some images, by the index of their answer."""
    column = batches.image_column(signature)
    assert column is not None and answers.places is not None
    places = {int(answers.places[each]): each for each in wanted}
    with tables.reading(table.name):
        frame = table.frame.select(exactly(column).alias("image")).with_row_index("row")
        found = frame.filter(pl.col("row").is_in(list(places))).collect(engine="streaming")
    data = found["image"] if found["image"].dtype == pl.Binary else found["image"].struct.field("bytes")
    return {places[row]: each for row, each in zip(found["row"], data, strict=True)}


def _looked_at(ctx: Context, model: Path, data: Sequence[bytes]) -> list[bytes]:
    """What the model sees of each image, with its saliency."""
    predictor = decision.own(predictors.load(model, processors.count()))
    found = explain.explainer(predictor)
    assert isinstance(predictor, Model)
    given = np.empty(len(data), dtype=object)
    given[:] = data
    ctx.progress("explain", 0, len(data))
    heats = found.explain({predictor.signature.names[0]: Column(given)}).values
    ctx.progress("explain", len(data), len(data))
    return [overlaid(predictor.view(each), heat) for each, heat in zip(data, heats, strict=True)]


def _said(answers: Answers, each: int) -> tuple[str, list[str]]:
    """What is written under a picture: truth and prediction, how sure, and what it is found again by."""
    if answers.proba is None:
        title = f"{float(answers.predicted[each]):.4g}, not {float(answers.actual[each]):.4g}"
        lines = []
    else:
        code = int(answers.predicted[each])
        title = f"{_short(answers.levels[int(answers.actual[each])])} → {_short(answers.levels[code])}"
        lines = [f"confidence {answers.proba[each, code]:.1%}"]
    found = answers.found
    row: dict[str, Any] = found.row(each, named=True) if found is not None and found.width else {}
    return title, lines + [_short(str(value)) for value in row.values() if value is not None]


def _short(text: str) -> str:
    """The end of a text, which of a path says most."""
    return text if len(text) <= _TEXT else f"…{text[1 - _TEXT :]}"


def _worst(shown: Sequence[Picture], answers: Answers, explained: bool) -> Section:
    if not shown:
        return Section("Worst errors", [], "No row was answered wrongly.")
    text = "The largest errors first: what was predicted, and what was so."
    if answers.proba is not None:
        text = "Truth → prediction, those first where the model gave the truth the least probability."
    if explained:
        text += (
            " Beside each is what the model saw, coloured where hiding a patch takes most from the probability of its "
            "answer."
        )
    return Section("Worst errors", [Pictures(shown)], text)


def _pairs(chosen: Chosen, made: dict[int, Picture], answers: Answers) -> list[Section]:
    blocks = []
    for actual, predicted, rows, some in chosen.pairs:
        title = f"{answers.levels[actual]} → {answers.levels[predicted]}: {rows:,} row{'s' * (rows > 1)}"
        blocks.append(Pictures([made[each] for each in some], title))
    text = "The commonest confusions with examples, worst first, those before that are not shown above."
    return [Section("What is taken for what", [Columns(blocks)], text)] if blocks else []
