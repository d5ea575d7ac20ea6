"""When a trial is given up: behind the median, and what is slow at first is not."""

import math

from mlops_cli.steps import search_prune


def curve(rate, floor, rounds):
    """The loss of boosting with a learning rate: it falls to a floor."""
    return [floor + math.exp(-rate * at) for at in range(1, rounds + 1)]


def given_up(losses, total, ended, higher=False):
    return next(
        (at for at in range(1, len(losses) + 1) if search_prune.on_curve(losses[:at], total, ended, higher)), None
    )


def test_folds_are_compared_with_the_median_of_as_many():
    ended = [[0.1, 9], [0.2, 9], [0.3, 0], [0.4, 0], [0.5, 0]]
    assert search_prune.after_fold([0.31], ended, higher=False) and not search_prune.after_fold([0.3], ended, False)
    assert search_prune.after_fold([0.29], ended, higher=True) and not search_prune.after_fold([0.3], ended, True)
    assert not search_prune.after_fold([9], ended[:4], higher=False), "four are too few to judge by"


def test_a_small_learning_rate_is_not_given_up():
    ended = [0.3, 0.31, 0.32, 0.33, 0.34]
    assert curve(0.01, 0.25, 64)[-1] > 2 * ended[-1], "it is far behind when it is first judged"
    assert given_up(curve(0.01, 0.25, 1000), 1000, ended) is None


def test_what_can_not_catch_up_is_given_up():
    ended = [0.3, 0.31, 0.32, 0.33, 0.34]
    assert given_up(curve(0.1, 0.5, 1000), 1000, ended) == 64
    assert given_up([-loss for loss in curve(0.1, 0.5, 1000)], 1000, [-one for one in ended], higher=True) == 64
    assert given_up(curve(0.1, 0.5, 1000), 1000, ended[:4]) is None
