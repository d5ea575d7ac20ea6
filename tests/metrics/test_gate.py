"""The grammar of gates and their three answers."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_cli.errors import Usage
from mlops_cli.metrics import gate, wording
from mlops_cli.metrics.base import Metric

PRECISION = Metric("precision", 0.42, 0.38, 0.46, 400)
TRUCK = Metric("recall", 0.7, 0.62, 0.78, 120, "label", "truck")
METRICS = [
    PRECISION,
    TRUCK,
    Metric("recall", None, None, None, 0, "label", "bus"),
    Metric("f1", None, None, None, 50),
    Metric("psi", 0.1, None, None, 400, "distance"),
    Metric("rows", 400.0, None, None, 400),
    Metric("accuracy", 1.0, 0.6, 1.0, 5),
    Metric("recall", 0.5, 0.4, 0.6, 90, "carrier", "A >= B, c=d"),
]


def answer(text, **more):
    return gate.judge(gate.parse(text), METRICS, **more).answer


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("precision>=0.40", ("precision", None, None, ">=", 0.4, False, 0.0)),
        ("  rmse <  12.5 ", ("rmse", None, None, "<", 12.5, False, 0.0)),
        ("recall[label=truck]>=.6", ("recall", "label", "truck", ">=", 0.6, False, 0.0)),
        ("psi[distance]<2e-1", ("psi", "distance", None, "<", 0.2, False, 0.0)),
        ("recall[ carrier =A >= B, c=d] > -1", ("recall", "carrier", "A >= B, c=d", ">", -1.0, False, 0.0)),
        ("recall[x=]>0", ("recall", "x", "", ">", 0.0, False, 0.0)),
        ("latency_p99_ms<20", ("latency_p99_ms", None, None, "<", 20.0, False, 0.0)),
        ("f1>=champion", ("f1", None, None, ">=", None, True, 0.0)),
        ("f1>=champion-0.01", ("f1", None, None, ">=", None, True, -0.01)),
        ("rmse <= champion + 1e-1", ("rmse", None, None, "<=", None, True, 0.1)),
    ],
)
def test_grammar(text, parts):
    assert msgspec.structs.astuple(gate.parse(text))[:8] == (*parts, text.strip())


@pytest.mark.parametrize(
    "text",
    ["", "precision", "precision>=", ">=0.4", "precision>=x", "precision>=nan", "precision>=inf", "precision>=40%",
     "precision[>=0.4", "precision[]>=0.4", "f1>=champions", "f1>=champion*2", "f1>=champion-", "f1>=0.4>=0.3",
     "precision==0.4", "precision!=0.4", "precision=0.4", "precision>=0.4\nrecall>=0.2"],
)  # fmt: skip
def test_bad_grammar_is_usage_with_a_hint(text):
    with pytest.raises(Usage) as caught:
        gate.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("precision>=0.38", "pass"),  # at the low end: the whole interval meets it
        ("precision>0.38", "inconclusive"),
        ("precision>0.37", "pass"),
        ("precision>=0.40", "inconclusive"),
        ("precision>=0.46", "inconclusive"),  # at the high end: not surely missed
        ("precision>0.46", "fail"),
        ("precision>=0.47", "fail"),
        ("precision<0.46", "inconclusive"),
        ("precision<=0.46", "pass"),
        ("precision<0.38", "fail"),
        ("precision<=0.38", "inconclusive"),
        ("recall[label=truck]>=0.6", "pass"),
        ("recall[label=TRUCK]>=0.6", "pass"),
        ("recall[carrier=A >= B, c=d]>=0.3", "pass"),
        ("recall[label=bus]>=0", "inconclusive"),  # no rows of it
        ("recall[label=lorry]>=0", "inconclusive"),
        ("f1>=0", "inconclusive"),  # undefined is never a pass
        ("f1<=1", "inconclusive"),
        ("psi[distance]<0.2", "pass"),  # exact
        ("psi[distance]<0.1", "fail"),
        ("rows>=400", "pass"),
        ("accuracy>=0.5", "inconclusive"),  # five rows
    ],
)
def test_three_answers(text, expected):
    assert answer(text) == expected


def test_point_compares_estimates_only():
    assert answer("precision>=0.41", point=True) == "pass"
    assert answer("precision>=0.43", point=True) == "fail"
    assert answer("accuracy>=0.99", point=True) == "pass"
    assert answer("f1>=0", point=True) == "inconclusive"


def test_the_target_as_a_column_means_the_class():
    assert answer("recall[vehicle=truck]>=0.6", target="vehicle") == "pass"
    with pytest.raises(Usage):
        answer("recall[vehicle=truck]>=0.6")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("precison>=0.4", "did you mean precision?"),
        ("precision[carrier=AA]>=0.4", "there is precision"),
        ("recall>=0.4", "recall[label=truck]"),
        ("recall[label]>=0.4", "recall[label=truck]"),
        ("flip_rate[noise=0.05]<0.1", "evaluate --robustness measures it; there is precision"),
        ("roc_auc_drop[missing=x]<0.1", "evaluate --robustness"),
        ("worst_slice_log_loss<0.6", "evaluate --slices ROWS measures it"),
        ("cost<400", "evaluate --cost FILE"),
        ("demographic_parity_ratio[sex]>=0.8", "evaluate --by sex measures it"),
        ("fpr>=0.8", "evaluate --by COLUMN"),
        ("psi[stops]<0.1", "--by stops measures it for each level"),
        ("speed[stops]<0.1", "--by stops measures more"),
    ],
)
def test_what_was_not_measured_is_usage_that_says_what_was(text, said):
    with pytest.raises(Usage) as caught:
        answer(text)
    assert said in caught.value.hint


def test_more_rows_from_the_distance_to_the_bound():
    found = gate.judge(gate.parse("precision>=0.40"), METRICS)
    assert found.more_rows == 400 * 4 - 400  # the distance is half of the half width: four times the rows
    assert "1,200 more labelled rows" in found.reason
    assert gate.judge(gate.parse("precision>=0.42"), METRICS).more_rows is None
    assert gate.judge(gate.parse("recall[label=truck]>=0.66"), METRICS).reason.endswith("of label=truck would decide")
    assert gate.judge(gate.parse("accuracy>=0.5"), METRICS).more_rows == gate.FEWEST - 5


@given(
    value=st.floats(0, 1), below=st.floats(0, 0.5), above=st.floats(0, 0.5), bound=st.floats(-0.2, 1.2),
    n=st.integers(10, 10**6),
)  # fmt: skip
def test_a_verdict_agrees_with_every_value_of_the_interval(value, below, above, bound, n):
    metrics = [Metric("m", value, value - below, value + above, n)]
    for op, holds in ((">=", float.__ge__), (">", float.__gt__), ("<=", float.__le__), ("<", float.__lt__)):
        found = gate.judge(gate.parse(f"m{op}{bound!r}"), metrics)
        everywhere = {holds(end, bound) for end in (value - below, value + above)}
        assert found.answer == {(True,): "pass", (False,): "fail"}.get(tuple(everywhere), "inconclusive")
        if found.more_rows is not None:
            half = below if value > bound else above
            shrunk = half * (n / (n + found.more_rows)) ** 0.5
            assert shrunk <= abs(value - bound) * (1 + 1e-6)


def test_champion_is_judged_by_its_value_and_passes_when_there_is_none():
    text = "precision>=champion-0.02"
    assert answer(text, champion=[Metric("precision", 0.40, 0.3, 0.5, 400)]) == "pass"
    assert answer(text, champion=[Metric("precision", 0.43, 0.3, 0.5, 400)]) == "inconclusive"
    assert answer(text, champion=[Metric("precision", 0.55, 0.3, 0.5, 400)]) == "fail"
    assert answer(text, champion=[Metric("precision", None, None, None, 400)]) == "inconclusive"
    none_yet = gate.judge(gate.parse(text), METRICS)
    assert (none_yet.answer, none_yet.bound, none_yet.reason) == ("pass", None, "no champion yet to compare with")


def test_alert_is_the_gate_turned_round():
    def alarm(text, **more):
        return gate.alert(gate.parse(text), METRICS, **more).answer

    assert alarm("precision<0.47") == "fail"  # it holds: that is the finding
    assert alarm("precision<0.30") == "pass"
    assert alarm("precision<0.40") == "inconclusive"
    assert alarm("f1<0.9") == "inconclusive"
    assert alarm("precision<champion") == "pass"  # no champion to be worse than


def test_exit_code_and_table():
    judgements = [gate.judge(gate.parse(text), METRICS) for text in ("rows>=1", "precision>=0.4", "precision>=0.9")]
    assert [gate.exit_code(judgements[:count]) for count in range(4)] == [0, 0, 3, 1]
    lines = wording.table(judgements)
    assert [line.split()[0] for line in lines] == ["pass", "inconclusive", "fail"]
    assert msgspec.json.decode(msgspec.json.encode(judgements[1]))["more_rows"] == 1200


def test_a_champion_that_was_not_measured_so_is_inconclusive():
    own = [Metric("flip_rate", 0.1, 0.05, 0.15, 100, "noise", "0.05")]
    other = [Metric("roc_auc", 0.8, 0.7, 0.9, 100)]
    found = gate.judge(gate.parse("flip_rate[noise=0.05]<=champion"), own, champion=other)
    assert found.answer == "inconclusive" and "the champion has no value" in found.reason


def test_a_guess_of_rows_has_three_digits_and_none_beyond_a_million():
    one = Metric("roc_auc", 0.5, 0.4, 0.6, 100)
    told = [gate.in_words(one, more) for more in (7, 999, 28_465, 999_001, 60_387_238)]
    assert told == [
        "about 7 more labelled rows",
        "about 999 more labelled rows",
        "about 28,500 more labelled rows",
        "about 1,000,000 more labelled rows",
        "more than 1,000,000 more labelled rows",
    ]
