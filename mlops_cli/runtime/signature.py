"""What a model takes and what it answers: `signature.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from mlops_cli.errors import Corrupt, Missing

FORMAT = 2
"""2 is what a model has whose answers are decided by `decision.json`: readers of 1 must not answer by it alone."""
FILE = "signature.json"

Task = Literal["binary", "multiclass", "regression"]
Type = Literal["bool", "int", "float", "string", "date", "datetime", "image"]
Label: TypeAlias = bool | int | float | str


class InputColumn(msgspec.Struct, frozen=True):
    """One input column. `nullable` False: a request must have the column (a null in it is still answered)."""

    name: str
    type: Type
    nullable: bool = True


class Signature(msgspec.Struct, frozen=True):
    """The contract of a model: its input columns in order and the meaning of its answer.

    `classes` are the target's values in sort order (None for regression), and the order of `proba`;
    `positive` is one of them when the task is binary. `context` are columns that may come with a row (camera, time),
    are logged, and never reach the model. `measured` is what is read off an image and its answer
    (`Prediction.measured`) and logged in the place of its bytes. `decides` says that `decision.json` changes the
    answers: its format is 2. `loss` is what a regression has learnt to make small (`quantile`, `poisson`, …), `alpha`
    which quantile; a reader that does not know them loses a metric and no more. `aside` are the other columns of the
    training data, the target among them: a row may have them, as people send the rows that they have. They are logged
    as they were sent, and nothing else looks at them.
    """

    family: str
    task: Task
    target: str
    columns: list[InputColumn]
    classes: list[Label] | None = None
    positive: Label | None = None
    format: int = 1
    context: list[InputColumn] = []
    measured: list[InputColumn] = []
    decides: bool | UnsetType = UNSET
    loss: str | UnsetType = UNSET
    alpha: float | UnsetType = UNSET
    aside: list[str] = []

    @property
    def names(self) -> list[str]:
        """The names of the input columns, in order."""
        return [column.name for column in self.columns]

    @property
    def accepted(self) -> list[InputColumn]:
        """The columns that a request may have."""
        return [*self.columns, *self.context]

    @property
    def logged(self) -> list[InputColumn]:
        """The columns that the prediction log has of a row: an image's measurements stand for the image."""
        return [*(column for column in self.columns if column.type != "image"), *self.context, *self.measured]

    def positive_index(self) -> int:
        """Where the positive class stands in `classes`; ValueError unless binary."""
        if self.classes is None or self.positive is None:
            raise ValueError("only a binary model has a positive class")
        return self.classes.index(self.positive)


def decode(data: bytes) -> Signature:
    """Read `signature.json`; `Corrupt` if it is not one that this version understands."""
    try:
        signature = msgspec.json.decode(data, type=Signature)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{FILE}: {error}", "the model directory is damaged; train or fetch it again") from None
    problem = _problem(signature)
    if problem:
        raise Corrupt(f"{FILE}: {problem}", "the model directory is damaged; train or fetch it again")
    return signature


def encode(signature: Signature) -> bytes:
    """The bytes of `signature.json`, the same for the same signature."""
    return msgspec.json.format(msgspec.json.encode(signature), indent=1) + b"\n"


def load_signature(directory: Path) -> Signature:
    """The signature of a model directory; `Missing` when there is none, `Corrupt` when it is damaged."""
    try:
        data = (directory / FILE).read_bytes()
    except OSError:
        raise Missing(f"{directory}: no {FILE}", "give a model directory, as `mlops train` writes it") from None
    return decode(data)


def _problem(signature: Signature) -> str:
    """What contradicts itself in a decoded signature, or nothing."""
    if signature.format > FORMAT:
        return f"format {signature.format} is newer than this mlops ({FORMAT})"
    if signature.decides and signature.format < FORMAT:
        return f"it says that answers are decided, which format {signature.format} cannot"
    names = [column.name for column in (*signature.columns, *signature.context, *signature.measured)]
    names += signature.aside
    if len(set(names)) != len(names):
        return "a column is listed twice"
    classes = signature.classes
    if signature.task == "regression":
        return "" if classes is None and signature.positive is None else "a regression has no classes"
    if classes is None or len(classes) < 2 or len(set(classes)) != len(classes):
        return "classes must be two or more different values"
    if signature.task == "binary" and (len(classes) != 2 or signature.positive not in classes):
        return "a binary task has two classes, one of them positive"
    return ""
