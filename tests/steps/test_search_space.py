"""What `--space` may say, what is drawn from it, and what is proposed."""

import pytest

from mlops_cli.errors import MissingExtra, Usage
from mlops_cli.steps import search, search_space, search_tpe
from mlops_cli.steps.search_space import Choice, Range
from mlops_cli.steps.search_trials import Trial

RATE = Range(0.001, 1, whole=False, log=True)


def test_lists_and_ranges():
    assert search_space.parse(["a=1,2,1", " b = x "]) == {"a": Choice(("1", "2")), "b": Choice(("x",))}
    read = {
        "0.01..0.3": Range(0.01, 0.3, whole=False, log=True),
        "8..256": Range(8, 256, whole=True, log=True),
        "-1.0..1": Range(-1, 1, whole=False, log=False),
        "0..5": Range(0, 5, whole=True, log=False),
        "log:0.01..0.3": Range(0.01, 0.3, whole=False, log=True),
        "linear:0.01..0.3": Range(0.01, 0.3, whole=False, log=False),
        "int:linear:8..256": Range(8, 256, whole=True, log=False),
        "float:1..10": Range(1, 10, whole=False, log=True),
        "1e-3..1": Range(0.001, 1, whole=False, log=True),
    }
    for text, found in read.items():
        assert search_space.parse([f"k={text}"]) == {"k": found}, text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a", "list of values"),
        ("=1", "list of values"),
        ("a=1,,2", "list of values"),
        ("a=", "list of values"),
        ("a=3..1", "lower to the higher"),
        ("a=1..1", "lower to the higher"),
        ("a=1..x", "range of numbers"),
        ("a=1..inf", "lower to the higher"),
        ("a=log:0..1", "above 0"),
        ("a=wide:1..2", "wide"),
        ("a=int:float:1..2", "int"),
        ("a=int:1..2.5", "whole ends"),
        ("a=log:1", "LOW..HIGH"),
        ("a=1..2,5", "stands alone"),
    ],
)
def test_what_is_not_in_the_grammar(text, why):
    with pytest.raises(Usage, match=why):
        search_space.parse([text])


def test_a_grid_is_every_combination_in_order():
    grid = search_space.grid(search_space.parse(["a=1,2", "b=x,y"]))
    assert grid == [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"}]
    with pytest.raises(Usage, match="1,000,000 trials"):
        search_space.grid({name: Choice(tuple(map(str, range(100)))) for name in "abc"})
    with pytest.raises(Usage, match="no ranges"):
        search_space.grid({"a": RATE})


def test_what_is_drawn_lies_in_the_space():
    space = search_space.parse(["leaves=2..100", "rate=0.001..1", "kind=x,y", "shift=-1.0..1.0"])
    drawn = search_space.drawn(space, 300, 0)
    assert len(drawn) == 300 and drawn == search_space.drawn(space, 300, 0) != search_space.drawn(space, 300, 1)
    leaves = [int(trial["leaves"]) for trial in drawn]
    rates = [float(trial["rate"]) for trial in drawn]
    assert min(leaves) >= 2 and max(leaves) <= 100 and sum(leaf < 15 for leaf in leaves) > 100
    assert min(rates) >= 0.001 and max(rates) <= 1 and 130 > sum(rate < 0.01 for rate in rates) > 70
    assert {trial["kind"] for trial in drawn} == {"x", "y"}
    assert sum(float(trial["shift"]) < 0 for trial in drawn) > 100
    assert len(search_space.drawn({"kind": Choice(("x", "y"))}, 50, 0)) == 2


def test_four_digits_never_leave_the_range():
    narrow = Range(0.123456, 0.123457, whole=False, log=False)
    assert [narrow.text(number) for number in (0.123456, 0.123457)] == ["0.123457", "0.123457"]  # 0.1235 is beyond


def test_values_are_checked_before_anything_is_fitted():
    def read(given):
        if "x" in given.values() or any("." in value for value in given.values()):
            raise Usage("bad")
        return dict(given)

    for text in ("a=1,x", "a=float:1..9"):
        with pytest.raises(Usage, match="bad"):
            search.plan("random", search_space.parse([text]), read, 3, 0)


def test_tpe_goes_where_it_is_good():
    space = search_space.parse(["rate=0.001..1", "kind=a,b"])
    tried = []

    def score(settings):
        return -abs(float(settings["rate"]) - 0.1) - (settings["kind"] == "b")

    for settings in search_space.drawn(space, 10, 0):
        tried.append(Trial(settings, score(settings), 1))
    again = search_tpe.propose(space, tried, 4, 0, True)
    assert again == search_tpe.propose(space, tried, 4, 0, True) != search_tpe.propose(space, tried, 4, 1, True)
    for _ in range(8):
        tried += [Trial(one, score(one), 1) for one in search_tpe.propose(space, tried, 4, 0, True)]
    late = tried[-12:]
    assert sum(trial.settings["kind"] == "a" for trial in late) >= 9
    assert sum(0.03 < float(trial.settings["rate"]) < 0.3 for trial in late) >= 8
    tried += [Trial(tried[0].settings, None, 3, "pruned", [0.1]), Trial(tried[0].settings, None, 0, "failed")]
    assert len(search_tpe.propose(space, tried, 2, 0, True)) == 2


def test_tpe_without_optuna(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mlops-cli\[search\]|optuna"):
        search.plan("tpe", {"rate": RATE}, dict, 3, 0)
