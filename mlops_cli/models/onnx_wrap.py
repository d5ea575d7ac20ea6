"""A model made elsewhere, beside data: what it takes, and what its output means, tried on the first rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.metrics.base import text_of
from mlops_cli.models import onnx_columns
from mlops_cli.models.base import Fit, Fold, Progress, Report, Settings, Tables
from mlops_cli.models.target import Target
from mlops_cli.runtime import image_model, images, onnx_answers, onnx_table
from mlops_cli.runtime.image_model import Model as ImageModel
from mlops_cli.runtime.onnx_session import Session, Value
from mlops_cli.runtime.onnx_table import Model as TableModel
from mlops_cli.runtime.rows import RequestError
from mlops_cli.runtime.signature import InputColumn, Label, Signature

TRIED = 64
_MOST_EMBEDDING = 64


class Wrapped:
    """Meets `base.Trainer`, but learns nothing."""

    def __init__(self, tables: Tables, target: Target, settings: Settings, data: bytes) -> None:
        self._data, self._settings, self._target = data, settings, target
        session = Session(data, [], [])
        output = _output(session.outputs, settings.get("output"))
        schema = tables.train.collect_schema()
        image = onnx_columns.image_column(schema)
        task = ("onnx", target.task, target.name)
        classes, positive = target.classes, target.positive
        self._image: images.Preparation | None = None
        self._table: onnx_table.Table | None = None
        if image is None:
            columns, inputs = onnx_columns.inputs(session.inputs, tables.train, target.name, settings)
            self._table = onnx_table.Table(inputs, output, "probabilities" if classes else "value")
            self.signature = Signature(*task, columns, classes, positive)
        else:
            self._image = onnx_columns.preparation(session.inputs, output, settings)
            measured = image_model.measured(_embedding(session.outputs, settings.get("embedding")), classes is not None)
            columns = [InputColumn(image, "image", nullable=False)]
            context = onnx_columns.context(schema)
            self.signature = Signature(*task, columns, classes, positive, context=context, measured=measured)
        self.notes = [f"nothing is learnt: {settings['model']} answers by its output {output}"]
        self._settle(tables)

    def fit(self, settings: Settings, threads: int, progress: Progress, report: Report | None = None) -> Fit:
        """The model as it is."""
        progress(1, 1)
        return Fit(self._data, 0, None)

    def whole(self, fit: Fit, settings: Settings, threads: int, progress: Progress) -> Fit:
        """The model as it is."""
        return fit

    def part(self, fold: Fold) -> NoReturn:
        """Usage: there is nothing to learn on parts."""
        raise Usage("a model made elsewhere is not learnt, so there is nothing to search for or to cross-validate")

    def cross(self, part: Any, settings: Settings, progress: Progress, report: Report | None = None) -> NoReturn:
        """As `part`."""
        raise AssertionError("there are no parts")

    def rounds(self, count: int) -> dict[str, Any]:
        """No setting has a say in that."""
        return {}

    def predictor(self, fit: Fit, threads: int) -> ImageModel | TableModel:
        """What answers: the code that will answer later."""
        if self._image is not None:
            return ImageModel(fit.model, self._image, self.signature, threads)
        assert self._table is not None
        return TableModel(fit.model, self._table, self.signature)

    def files(self, fit: Fit) -> dict[str, bytes]:
        """The payload files that `runtime.predictors` reads."""
        if self._image is not None:
            return {image_model.FILE: fit.model, images.FILE: images.encode(self._image)}
        assert self._table is not None
        return {onnx_table.FILE: fit.model, onnx_table.TABLE: onnx_table.encode(self._table)}

    def _settle(self, tables: Tables) -> None:
        """Find out on the first rows whether the output is probabilities or logits, and which class is where."""
        _, batch = next(iter(tables.batches(tables.train.head(TRIED), self.signature)))
        try:
            raw = self.predictor(Fit(self._data, 0, None), 1).raw(batch)
        except RequestError as error:
            raise InputUnusable(error.message, "leave such rows out, or fill them before the model") from None
        classes = self._target.classes
        if classes is None:
            if onnx_answers.matrix(raw[0]).shape[1] != 1:
                raise InputUnusable("the output has several numbers a row, a regression has one", "--set output=NAME")
            return
        places = _places(classes, self._settings.get("classes"))
        maps = isinstance(raw[0], list)
        keys = _keys(classes, list(raw[0][0]), places) if maps else []
        order = places if not maps and places != sorted(places) else []
        seen = np.concatenate([onnx_answers.matrix(one, keys) for one in raw])
        width = seen.shape[1]
        if width != len(classes) and not (width == 1 and len(classes) == 2):
            text = f"the model answers {width} classes, {self._target.name} has {len(classes)} in this data"
            raise InputUnusable(text, "bring data that has every class of the model")
        gives = self._settings.get("gives") or ("probabilities" if _are_probabilities(seen) else "logits")
        if gives == "probabilities" and not _are_probabilities(seen):
            raise InputUnusable("the output holds no probabilities, its rows do not sum to 1", "--set gives=logits")
        self.notes.append(f"the output holds {gives}" + ("" if "gives" in self._settings else ", by the first rows"))
        if self._image is not None:
            self._image = msgspec.structs.replace(self._image, gives=gives, order=order)
        elif self._table is not None:
            self._table = msgspec.structs.replace(self._table, gives=gives, order=order, keys=keys)


def _output(outputs: list[Value], named: str | None) -> str:
    """The output that answers: the one that was named, else the first of numbers; Usage when there is none."""
    for value in outputs:
        numbers = value.type in ("tensor(float)", "tensor(double)") or value.type.startswith("seq(map")
        if numbers and named in (None, value.name):
            return value.name
    there = ", ".join(f"{value.name} is {value.type}" for value in outputs)
    raise Usage(f"no output of numbers{f' is called {named!r}' if named else ''}", f"the model's {there}")


def _embedding(outputs: list[Value], named: str | None) -> int:
    """How many numbers the output of that name has a row, 0 without one."""
    if named is None:
        return 0
    found = [value for value in outputs if value.name == named and value.type == "tensor(float)"]
    width = found[0].shape[-1] if found and len(found[0].shape) == 2 else None
    if not isinstance(width, int) or not 0 < width <= _MOST_EMBEDDING:
        raise Usage(f"--set embedding={named}: no output of float [n, k], k up to {_MOST_EMBEDDING}")
    return width


def _are_probabilities(values: NDArray[np.float64]) -> bool:
    """Whether every row may be one of probabilities; a single column is that of the second class."""
    inside = bool((values >= -1e-6).all() and (values <= 1 + 1e-6).all())
    return inside and (values.shape[1] == 1 or bool(np.allclose(values.sum(axis=1), 1, atol=1e-3)))


def _places(classes: Sequence[Label], said: Sequence[str] | None) -> list[int]:
    """For each class its place in the order that was said; empty when nothing was said."""
    if said is None:
        return []
    places = [next((n for n, text in enumerate(said) if text in _spelt(label)), -1) for label in classes]
    if -1 in places or len(said) != len(classes):
        there = ", ".join(text_of(label) for label in classes)
        raise Usage(f"--set classes={','.join(said)}: the target has {there}", "name each once, in the model's order")
    return places


def _keys(classes: Sequence[Label], there: list[int | str], places: list[int]) -> list[int | str]:
    """For each class its key in the model's maps: by name, or by the order that was said."""
    named = {text: key for key in there for text in _spelt(key)}
    keys = [next((named[text] for text in _spelt(label) if text in named), None) for label in classes]
    found = [key for key in keys if key is not None]
    if len(found) == len(classes) == len(there) == len(set(found)):
        return found
    if len(there) == len(classes) == len(places):
        return [there[place] for place in places]
    text = f"the model's classes are {', '.join(map(str, there))}, the target's {', '.join(map(text_of, classes))}"
    raise InputUnusable(
        text, "the data must have the model's classes; --set classes=… says which is which, in its order"
    )


def _spelt(label: Label) -> set[str]:
    """The ways in which a class may be written."""
    return {text_of(label), str(label), *([str(int(label))] if isinstance(label, bool) else [])}
