"""A signal that Python swallows still ends the command: nothing is sealed, remembered or ended as complete."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_cli import interrupts
from mlops_cli.steps import memo
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Output


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The handlers of the test run come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.unraisablehook
    interrupts.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    sys.unraisablehook = hook
    interrupts._came.clear()


def swallow(number: int) -> None:
    """Have a signal come where what its handler raises is lost."""

    class Closing:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            time.sleep(0.05)

    Closing()


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [(signal.SIGINT, KeyboardInterrupt, 130), (signal.SIGTERM, interrupts.Terminated, 143)],
)
def test_a_swallowed_signal_is_raised_again(
    number: int, kind: type[BaseException], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is remembered with its exit code, and no traceback tells of it."""
    interrupts.check()
    swallow(number)
    assert interrupts.code() == code
    with pytest.raises(kind):
        interrupts.check()
    assert capsys.readouterr().err == ""


def test_work_that_was_interrupted_is_not_published(work: Path) -> None:
    """Without the check in `memo` the half table would be at -o, complete, and remembered."""

    def build(payload: Path, rejects: Path) -> Contents:
        (payload / "half.txt").write_text("half")
        swallow(signal.SIGINT)
        return Contents("dataset", [])

    with pytest.raises(KeyboardInterrupt):
        memo.perform(Context(), Job("test", "key", (), build), Output("out"))
    assert not (work / "out").exists()
    assert not list((work / ".mlops").glob("keys/*"))
    assert [path.name for path in work.iterdir()] == [".mlops"]


def test_a_new_run_begins_afresh(cli: Callable[..., object]) -> None:
    """What came in an earlier run of the same process is forgotten."""
    swallow(signal.SIGTERM)
    assert cli("--help").code == 0  # type: ignore[attr-defined]
    assert interrupts.code() == 0
