"""LightGBM through its C library: the numbers of the package, errors instead of crashes, safe from several threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from boosters import WIDTH, train

from mlops_cli.errors import Corrupt, Integrity, MissingExtra
from mlops_cli.runtime import features, lightgbm, lightgbm_library, predictors, signature
from mlops_cli.runtime.lightgbm import Model
from mlops_cli.runtime.rows import RequestError
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.store import artefact

CATEGORIES = {3: 70, 4: 5}
CLASSES = {"binary": ["no", "yes"], "multiclass": [1, 2, 3], "regression": None}


def fitted():
    """One column a feature; the fourth and fifth are categories whose levels are their numbers."""
    columns = []
    for index in range(WIDTH):
        if index in CATEGORIES:
            levels = [str(level) for level in range(CATEGORIES[index])]
            columns.append(features.FeatureColumn(f"c{index}", "string", "category", levels=levels))
        else:
            columns.append(features.FeatureColumn(f"c{index}", "float", "number"))
    return features.Features(columns)


def described(task, positive="yes"):
    columns = [InputColumn(column.name, column.type) for column in fitted().columns]
    return Signature("lightgbm", task, "y", columns, CLASSES[task], positive if task == "binary" else None)


def rows_of(matrix):
    """The matrix as JSON rows."""
    return [
        {
            f"c{index}": None if np.isnan(value) else str(int(value)) if index in CATEGORIES else float(value)
            for index, value in enumerate(row)
        }
        for row in matrix
    ]


@pytest.mark.parametrize("task", list(CLASSES))
def test_the_numbers_of_the_package(task):
    text, booster, matrix = train(task)
    expected = booster.predict(matrix)
    for threads in (1, 2):
        answered = Model(text, fitted(), described(task), threads).answers_of(matrix)
        if task == "regression":
            np.testing.assert_array_equal(answered.values, expected)
            assert answered.proba is None
        elif task == "multiclass":
            np.testing.assert_array_equal(answered.proba, expected)
            np.testing.assert_array_equal(answered.values, expected.argmax(axis=1))
        else:
            np.testing.assert_array_equal(answered.proba[:, 1], expected)
            np.testing.assert_array_equal(answered.values, expected >= 0.5)


@pytest.mark.parametrize("task", list(CLASSES))
def test_single_rows_take_the_short_way_and_agree(task, monkeypatch):
    text, _, matrix = train(task)
    model = Model(text, fitted(), described(task))
    given = rows_of(matrix[:50])
    together = model.answer(given)
    monkeypatch.setattr(lightgbm.rows, "batch_from_rows", None)  # would fail if it were called
    assert [model.answer([row])[0] for row in given] == together


def test_a_single_row_with_what_training_had_too_takes_the_short_way(monkeypatch):
    text, _, matrix = train("binary")
    model = Model(text, fitted(), msgspec.structs.replace(described("binary"), aside=["y", "tail"]))
    (row,) = rows_of(matrix[:1])
    plain = model.answer([row])
    for more in ({"typo": 1}, {"tail": [1]}):
        with pytest.raises(RequestError):
            model.answer([row | more])
    monkeypatch.setattr(lightgbm.rows, "batch_from_rows", None)  # would fail if it were called
    assert model.answer([row | {"y": "yes", "tail": None}]) == plain


def test_the_other_class_can_be_the_positive_one():
    text, booster, matrix = train("binary")
    answered = Model(text, fitted(), described("binary", positive="no")).answers_of(matrix)
    expected = booster.predict(matrix)
    np.testing.assert_array_equal(answered.proba[:, 0], expected)
    np.testing.assert_array_equal(answered.values, np.where(expected >= 0.5, 0, 1))
    row = rows_of(matrix[:1])
    model = Model(text, fitted(), described("binary", positive="no"))
    assert model.answer(row) == model.answer(row * 2)[:1]


def test_many_threads_at_once():
    text, _, matrix = train("multiclass")
    model = Model(text, fitted(), described("multiclass"))
    given = rows_of(matrix[:200])
    expected = model.answer(given)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: model.answer([row])[0], given * 5)) == expected * 5


def test_no_rows(texts):
    answered = Model(texts["binary"], fitted(), described("binary")).answers_of(np.empty((0, WIDTH)))
    assert answered.values.shape == (0,) and answered.proba.shape == (0, 2)
    assert Model(texts["binary"], fitted(), described("binary")).answer([]) == []


@pytest.mark.parametrize(
    ("kind", "task", "columns"),
    [("binary", "binary", WIDTH - 1), ("binary", "regression", WIDTH), ("multiclass", "binary", WIDTH)],
)
def test_files_that_do_not_belong_together(texts, kind, task, columns):
    made = features.Features(fitted().columns[:columns])
    with pytest.raises(Integrity):
        Model(texts[kind], made, described(task))


def test_a_signature_with_other_columns(texts):
    other = described("binary")
    other.columns[0] = InputColumn("c0", "int")
    with pytest.raises(Integrity, match="differ in their columns"):
        Model(texts["binary"], fitted(), other)


def test_what_the_library_itself_refuses_is_an_error_too(texts):
    with pytest.raises(Integrity, match="LightGBM refuses"):
        lightgbm_library.Booster(b"tree\n", 1)
    booster = lightgbm_library.Booster(texts["binary"], 1)
    with pytest.raises(Integrity):
        booster.single(WIDTH + 1)
    with pytest.raises(Integrity):
        booster.predict(np.zeros((2, WIDTH - 1)), 1)
    with pytest.raises(Integrity, match="scores"):
        lightgbm_library.Booster(texts["binary"], 2).predict(np.zeros((2, WIDTH)), 1)


def test_where_the_library_is(monkeypatch, tmp_path):
    assert lightgbm_library.library_path().is_file()
    monkeypatch.setenv("MLOPS_LIB_LIGHTGBM", str(tmp_path / "none.so"))
    with pytest.raises(MissingExtra) as caught:
        lightgbm_library.library_path()
    assert caught.value.exit == 7 and "mlops-cli[lightgbm]" in caught.value.hint
    here = tmp_path / "lib.so"
    here.touch()
    monkeypatch.setenv("MLOPS_LIB_LIGHTGBM", str(here))
    assert lightgbm_library.library_path() == here


def seal(folder, text, family="lightgbm"):
    """A model directory."""
    folder.mkdir()
    made = described("binary")
    made = Signature(family, made.task, made.target, made.columns, made.classes, made.positive)
    (folder / "model.txt").write_bytes(text)
    (folder / "features.json").write_bytes(features.encode(fitted()))
    (folder / "signature.json").write_bytes(signature.encode(made))
    artefact.seal(folder, kind="model", created="", tool="", command=[], inputs=[])
    return folder


def test_load_checks_every_byte(texts, tmp_path):
    folder = seal(tmp_path / "model", texts["binary"])
    assert predictors.load(folder).signature == described("binary")
    for name in ("model.txt", "features.json", "signature.json"):
        data = (folder / name).read_bytes()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        (folder / name).write_bytes(flipped)
        with pytest.raises(Integrity):
            predictors.load(folder)
        (folder / name).write_bytes(data)


def test_an_artefact_cannot_name_its_loader(texts, tmp_path):
    with pytest.raises(Corrupt, match="not one of cnn, lightgbm"):
        predictors.load(seal(tmp_path / "model", texts["binary"], family="os.path"))


def test_a_digest_that_fits_does_not_make_a_model_sound(texts, tmp_path):
    """Whoever can write the manifest can write any model: its structure is checked all the same."""
    with pytest.raises(Integrity, match="damaged"):
        predictors.load(seal(tmp_path / "model", texts["binary"].replace(b"split_feature=", b"split_feature=9", 1)))


def test_answering_imports_no_package_and_prints_nothing(texts, tmp_path):
    folder = seal(tmp_path / "model", texts["binary"])
    program = (
        "import sys, pathlib\n"
        "from mlops_cli.runtime import predictors\n"
        f"model = predictors.load(pathlib.Path({str(folder)!r}))\n"
        "assert model.answer([{}])[0]['prediction'] in ('no', 'yes')\n"
        "heavy = {'lightgbm', 'scipy', 'sklearn', 'pandas', 'polars', 'pyarrow', 'typer'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import os; assert os.environ['OMP_WAIT_POLICY'] == 'passive'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
