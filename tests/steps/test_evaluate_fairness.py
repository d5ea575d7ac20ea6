"""`evaluate --by` a protected column that need not be a feature: its groups, gates on them, and the page."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mlops_cli.reports import html


def people(rows=1500, seed=0):
    """Loans: the group decides how often one is granted, and some groups are very small."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["f", "m", "x"], rows, p=[0.4, 0.585, 0.015])
    income = rng.normal(np.where(group == "m", 0.8, 0.0))
    granted = income + rng.normal(size=rows) > 0.3
    return pl.DataFrame({
        "sex": group,
        "income": income,
        "years": rng.integers(18, 80, rows),
        "granted": np.where(granted, "yes", "no"),
        "amount": 5 * income + rng.normal(size=rows) + 20,
    })  # fmt: skip


@pytest.fixture
def model(cli):
    """A model of a target that never saw the column sex; people.parquet has it."""

    def train(target="granted"):
        others = {"granted", "amount"} - {target}
        people().drop("sex", *others).write_parquet(f"{target}.parquet")
        people(seed=1).drop(*others).write_parquet("people.parquet")
        return cli(
            "train", f"{target}.parquet", "--target", target, "--set", "num_leaves=7", "-o", f"model-{target}"
        ).ref

    return train


def metrics(ref):
    found = json.loads(Path(ref, "metrics.json").read_text())["metrics"]
    return {(one["name"], one["column"], one["level"]): one for one in found}


def test_groups_of_a_column_that_is_no_feature(cli, model):
    ended = cli("evaluate", model(), "--data", "people.parquet", "--by", "sex", "-o", "result")
    found = metrics(ended.ref)
    answers = pl.read_parquet("result/predictions.parquet").with_columns(sex=people(seed=1)["sex"])
    rates = dict(answers.group_by("sex").agg((pl.col("prediction") == "yes").mean()).iter_rows())
    for level in "fmx":
        assert found["selection_rate", "sex", level]["value"] == pytest.approx(rates[level])
    expected = rates["f"] / rates["m"]
    ratio = found["demographic_parity_ratio", "sex", None]
    assert ratio["value"] == pytest.approx(expected) and ratio["low"] < expected < ratio["high"] < 0.8
    small = people(seed=1)["sex"].value_counts().filter(pl.col("sex") == "x")["count"][0]
    assert ratio["n"] == 1500 - small and small < 30
    assert f"by sex, measured but not compared with other groups: x ({small} rows); 30 rows are needed" in ended.err
    page = Path("result/report.html").read_text()
    for words in ("Fairness by sex", "Demographic parity", "four fifths", "Chouldechova 2017", f"x ({small} rows)"):
        assert words in page, words


def test_gates_on_a_ratio_have_three_answers(cli, model):
    ref = model()

    def code(gate):
        return cli("evaluate", ref, "--data", "people.parquet", "--by", "sex", "--require", gate).code

    value = metrics(cli("evaluate", ref, "--data", "people.parquet", "--by", "sex").ref)[
        "demographic_parity_ratio", "sex", None
    ]["value"]
    assert code("demographic_parity_ratio[sex]>=0.2") == 0
    assert code("demographic_parity_ratio[sex]>=0.8") == 1
    assert code(f"demographic_parity_ratio[sex]>={value}") == 3
    assert code("equalized_odds_difference[sex]<=0.9") == 0
    unknown = cli(
        "evaluate", ref, "--data", "people.parquet", "--require", "demographic_parity_ratio[sex]>=0.8"
    )  # fmt: skip
    assert unknown.code == 2 and "--by sex measures it" in unknown.err
    level = cli(
        "evaluate", ref, "--data", "people.parquet", "--by", "sex", "--require", "accuracy_ratio[sex=f]>0.8"
    )  # fmt: skip
    assert level.code == 2 and "write accuracy_ratio[sex]" in level.err
    tiny = cli("evaluate", ref, "--data", "people.parquet", "--by", "years", "--require", "accuracy_ratio[years]>0.1")
    assert tiny.code == 0  # quarters of a number are groups


def test_too_few_groups_are_inconclusive(cli, model):
    ref = model()
    people(seed=1).filter(pl.col("sex") == "f").write_parquet("women.parquet")
    gate = "demographic_parity_ratio[sex]>=0.8"
    ended = cli("evaluate", ref, "--data", "women.parquet", "--by", "sex", "--require", gate)
    assert ended.code == 3 and "fewer than two groups are large enough" in ended.err


def test_the_positive_class_may_be_named(cli, model):
    ref = model()
    yes, no = (
        metrics(cli("evaluate", ref, "--data", "people.parquet", "--by", "sex", "--positive", each, "-o", each).ref)
        for each in ("yes", "no")
    )
    assert json.loads(Path("no/metrics.json").read_text())["positive"] == "no"
    for level in "fm":
        selected = "selection_rate", "sex", level
        assert yes[selected]["value"] + no[selected]["value"] == pytest.approx(1)
        assert yes["recall", "sex", level]["value"] == pytest.approx(no["specificity", "sex", level]["value"])
    name = "demographic_parity_ratio", "sex", None
    assert yes[name]["value"] != pytest.approx(no[name]["value"], abs=0.01)
    assert metrics(cli("evaluate", ref, "--data", "people.parquet", "--by", "sex").ref) == yes
    wrong = cli("evaluate", ref, "--data", "people.parquet", "--positive", "maybe")
    assert wrong.code == 2 and "there is no, yes" in wrong.err
    assert cli("evaluate", model("amount"), "--data", "people.parquet", "--positive", "yes").code == 2


def test_regressions_compare_errors_of_groups(cli, model):
    ended = cli(
        "evaluate", model("amount"), "--data", "people.parquet", "--by", "sex", "--require", "mae_ratio[sex]>=0.5"
    )
    found = metrics(ended.ref)
    assert found["mean_prediction_difference", "sex", None]["value"] > 2
    assert found["mean_prediction", "sex", "m"]["value"] > found["mean_prediction", "sex", "f"]["value"]


def test_the_page_escapes_the_names_of_groups(cli, model):
    nasty = '<b onclick="x">'
    ref = model()
    people(seed=1).with_columns(pl.col("sex").replace({"f": nasty})).write_parquet("nasty.parquet")
    page = Path(cli("evaluate", ref, "--data", "nasty.parquet", "--by", "sex").ref, "report.html").read_text()
    assert nasty not in page and html.escape(nasty) in page
