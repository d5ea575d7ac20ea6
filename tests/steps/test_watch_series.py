"""The series of a watch: whole entries only, contiguous, chained, whatever kills a run."""

import json
import os
from pathlib import Path

import msgspec
import pytest
import watching as world

from mlops_cli.errors import Busy, Corrupt
from mlops_cli.metrics.gate import Judgement
from mlops_cli.steps import watch_alerts, watch_exec, watch_prom, watch_series
from mlops_cli.steps.watch_series import Alert, Entry
from mlops_cli.store import files, manifest


def entry(at: str = "2026-01-01T00:00:00.000000Z", **fields) -> Entry:
    known = {
        "model": "flights",
        "alias": "production",
        "version": 1,
        "id": "sha256:0",
        "window": {},
        "reference": None,
        "rows": 0,
        "other_rows": 0,
        "damaged_lines": 0,
        "unlogged": [],
        "joined_by": None,
        "labels": None,
        "metrics": [],
        "alerts": [],
        "aside": [],
        "exec": None,
        "exit": 0,
        "previous": None,
    }
    return Entry(at=at, **{**known, **fields})


def judged(answer: str, text: str = "precision<0.4") -> Judgement:
    return Judgement(text, answer, 0.3, 0.2, 0.35, 0.4, "")


def whole(directory: Path) -> list[Path]:
    """The entries, every one of them readable and chained to the one before it."""
    found, before = sorted(directory.glob("*.json")), None
    for number, path in enumerate(found, start=1):
        data = path.read_bytes()
        assert path.name == f"{number:06d}.json"
        assert json.loads(data)["previous"] == before
        before = manifest.sha256(data)
    return found


@pytest.mark.parametrize("place", ["write", "fsync", "link", "unlink"])
def test_killed_while_an_entry_is_written(tmp_path, monkeypatch, place):
    class Killed(BaseException):
        """As if by SIGKILL."""

    def die(*_: object, **__: object):
        raise Killed

    with watch_series.exclusive(tmp_path):
        watch_series.append(tmp_path, 1, entry())
    with monkeypatch.context() as patch:
        if place == "unlink":
            patch.setattr(Path, "unlink", die)
        else:
            patch.setattr(os, place, die)
        with pytest.raises(Killed), watch_series.exclusive(tmp_path):
            number, _, digest = watch_series.newest(tmp_path)
            watch_series.append(tmp_path, number + 1, entry(previous=digest))
    assert len(whole(tmp_path)) in (1, 2)
    with watch_series.exclusive(tmp_path):
        number, last, digest = watch_series.newest(tmp_path)
        assert last is not None
        watch_series.append(tmp_path, number + 1, entry(previous=digest))
    assert len(whole(tmp_path)) == number + 1
    assert not list((tmp_path / ".staging").iterdir())


def test_killed_with_the_command_of_exec_running(work, shell):
    """The run dies before its entry is written: nothing is told, and the next run tells."""
    world.register()
    asked = world.inputs(400, seed=1)
    world.log("logs", asked)
    world.actuals(world.truth(world.BINARY, asked, 2, 0.5)).write_parquet("landed.parquet")
    line = "mlops watch flights@production --log logs --actuals landed.parquet --alert 'precision<0.9' -o series"
    assert shell(f"{line} --exec 'kill -9 $PPID'").code in (-9, 137)
    assert whole(Path("series")) == []
    assert shell(f"{line} --exec 'echo x >> told.txt'").code == 1
    assert Path("told.txt").read_text() == "x\n"
    assert len(whole(Path("series"))) == 1


def test_killed_at_any_time(work, shell):
    """Runs that are killed after ever longer times leave whole entries only, and a log with all its rows."""
    world.register()
    world.log("logs", world.inputs(300, seed=1))
    line = "mlops watch flights@production --log logs -o series"
    for tenths in range(1, 14, 2):
        shell(
            f"timeout -s KILL 0.{tenths} {line} || true"
            if tenths < 10
            else f"timeout -s KILL 1.{tenths - 10} {line} || true"
        )
        if Path("series").exists():
            whole(Path("series"))
    ended = shell(f"{line} --json")
    assert json.loads(ended.out)["rows"] == 300
    assert len(whole(Path("series"))) == int(Path(json.loads(ended.out)["ref"]).stem)


def test_a_second_run_is_busy(tmp_path):
    with watch_series.exclusive(tmp_path), pytest.raises(Busy), watch_series.exclusive(tmp_path):
        pass
    with watch_series.exclusive(tmp_path):
        pass


def test_an_entry_that_is_none(tmp_path):
    (tmp_path / "000001.json").write_text("{}")
    with pytest.raises(Corrupt, match="000001"):
        watch_series.newest(tmp_path)
    (tmp_path / "000001.json").write_bytes(watch_series.encode(entry()).replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(Corrupt, match="newer"):
        watch_series.newest(tmp_path)


def test_an_entry_comes_back_as_it_was(tmp_path):
    (tmp_path / ".staging").mkdir()
    one = entry(alerts=[Alert(judged("fail"), True, "a", "b")])
    watch_series.append(tmp_path, 1, one)
    assert watch_series.newest(tmp_path)[1] == one
    with pytest.raises(Busy):
        watch_series.append(tmp_path, 1, one)


def after(judgement: Judgement, before: Entry | None, now: str) -> tuple[list[Alert], list[Alert]]:
    """The state after a run that told everything, and what it told."""
    state, told = watch_alerts.advance([judgement], before, now)
    return watch_alerts.settled(state, told, (), (), now), told


def test_told_on_a_change_and_again_after_24_hours():
    before: Entry | None = None
    told_at = []
    for hour, answer in enumerate(["pass", *["fail"] * 26, "inconclusive", "fail", "pass", "fail"]):
        now = f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:00:00.000000Z"
        state, told = after(judged(answer), before, now)
        told_at += [hour] * len(told)
        before = entry(now, alerts=state)
        assert state[0].firing == (answer in ("fail", "inconclusive"))
    assert told_at == [1, 25, 30]


def test_another_version_starts_anew_and_other_alerts_are_kept():
    state, _ = after(judged("fail"), None, "2026-01-01T00:00:00.000000Z")
    before = entry(alerts=state)
    later = "2026-01-01T01:00:00.000000Z"
    assert watch_alerts.advance([judged("fail")], before, later)[1] == []
    assert len(watch_alerts.advance([judged("fail")], None, later)[1]) == 1
    other = judged("pass", "recall<0.4")
    between = entry(alerts=after(other, before, later)[0], aside=watch_alerts.aside([other], before))
    assert watch_alerts.advance([judged("fail")], between, later)[1] == []
    assert watch_alerts.aside([judged("pass")], between) == []
    assert watch_alerts.cleared(watch_alerts.advance([judged("pass")], between, later)[0], between) == ["precision<0.4"]


def test_the_alert_is_whole_json_whatever_is_in_it(tmp_path):
    alert = {"model": 'a"b\n', "alerts": [{"gate": "recall[label=it's $HOME `x`]<0.4"}]}
    ran = watch_exec.run(f'printf %s "$MLOPS_ALERT" > {tmp_path}/alert.json; exit 4', alert, {})
    assert ran.exit == 4 and msgspec.json.decode((tmp_path / "alert.json").read_bytes()) == alert
    assert watch_exec.run("kill -9 $$", {}, {}).exit == -9
    assert "hunter2" not in watch_exec.run("true password=hunter2", {}, {}).command


def test_labels_of_the_textfile_are_escaped():
    text = watch_prom.render(entry(alerts=[Alert(judged("fail", 'recall[label=a"b\\c\nd]<0.4'), True)]))
    assert 'alert="recall[label=a\\"b\\\\c\\nd]<0.4"} 1\n' in text
    assert all(line.startswith(("#", "mlops_")) for line in text.splitlines())


def test_the_textfile_replaces_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "x.prom"
    watch_prom.write(path, entry())
    old = path.read_text()

    def full(*_: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_new", full)
    with pytest.raises(Exception, match="No space left"):
        watch_prom.write(path, entry(rows=5))
    assert path.read_text() == old


def test_a_series_without_an_entry_leaves_nothing(tmp_path):
    series = tmp_path / "watch" / "flights@production"
    with pytest.raises(Corrupt), watch_series.exclusive(series):
        raise Corrupt("the first look failed")
    assert not series.exists()
    with watch_series.exclusive(series), pytest.raises(Busy), watch_series.exclusive(series):
        raise AssertionError("two runs have one series")
    with watch_series.exclusive(series):
        watch_series.append(series, 1, entry())
    assert [path.name for path in whole(series)] == ["000001.json"]


def test_a_lock_that_was_taken_away_excludes_nobody(tmp_path, monkeypatch):
    """Between opening a lock and having it, another run may end and remove it: then it must be made anew."""
    real, removed = watch_series.fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if not removed:
            removed.append(True)
            (tmp_path / ".lock").unlink()
        real(descriptor, how)

    monkeypatch.setattr(watch_series.fcntl, "flock", flock)
    with watch_series.exclusive(tmp_path), pytest.raises(Busy), watch_series.exclusive(tmp_path):
        raise AssertionError("two runs have one series")
