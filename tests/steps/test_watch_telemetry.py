"""Readings of devices beside a model: rules, drift, silence, and how the model does by what was read."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import watching_images as world

from mlops_cli.steps import watch_readings, watch_telemetry
from mlops_cli.steps.context import Context

WATCH = ("watch", "vehicles@production", "--log", "logs", "--window", "1d", "--telemetry")
STAMP = "%Y-%m-%dT%H:%M:%SZ"


@pytest.fixture
def vehicles(work):
    """A served model of images, wrong where it is hot, and a day of its answers; the day's readings are `readings`."""
    world.register()
    rows = world.seen(1200, seed=1)
    times = world.log(rows, hours=20)
    heat = np.array([degrees(at) for at in times])
    world.actuals(rows, np.random.default_rng(3).random(rows.height) < np.where(heat > 35, 0.6, 0.05))
    return rows


def degrees(at):
    """The temperature: slowly up and down between 10 and 50."""
    return 30 + 20 * np.sin(at.timestamp() / 3600)


def readings(hours=72.0, minutes=5.0, until=None, devices=world.CAMERAS, hotter=0.0):
    """One reading of each device every few minutes, the last one a minute ago."""
    now = datetime.now(UTC)
    found = []
    for device in devices:
        for n in range(int(hours * 60 / minutes)):
            at = now - timedelta(minutes=1 + n * minutes)
            if until and device in until and at > now - timedelta(minutes=until[device]):
                continue
            found.append(
                {
                    "time": at.strftime(STAMP),
                    "device": device,
                    "temperature": degrees(at) + hotter,
                    "humidity": 40 + n % 7,
                }
            )
    return sorted(found, key=lambda one: one["time"])


def write(rows, path="readings.ndjson"):
    with open(path, "w") as file:
        for row in rows:
            file.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
    return path


def look(cli, *more):
    ended = cli(*WATCH, *more, "--json")
    assert ended.out, ended.err
    told = json.loads(ended.out)
    return ended, told, {(m["name"], m["column"], m["level"]): m for m in told["metrics"]}


def test_rules_on_what_was_read(vehicles, cli):
    rows = readings()
    hot = dict(rows[-1], temperature=91.5)
    hot["time"] = (datetime.now(UTC) - timedelta(seconds=5)).strftime(STAMP)
    write([*rows, hot])
    alerts = {
        "max[temperature]>80": "ALERT",
        "min[temperature]<0": "ok",
        "last[temperature]>80": "ALERT",
        "mean[humidity]>50": "ok",
        "readings<10": "ok",
        "silent>30": "ok",
        "max_temperature[device=north]>80": "ok",
        "max_temperature[device=west]>80": "ALERT",
        "null_share[temperature]>0.1": "ok",
    }
    ended, told, metrics = look(cli, "readings.ndjson", "--by", "device", *(w for a in alerts for w in ("--alert", a)))
    assert ended.code == 1
    for alert, answer in alerts.items():
        assert f"{answer}: {alert}" in ended.err, ended.err
    assert metrics["max", "temperature", None]["value"] == 91.5 and metrics["max", "temperature", None]["low"] is None
    assert told["telemetry"]["device"] == "device" and told["telemetry"]["columns"] == ["temperature", "humidity"]


def test_a_dead_sensor_is_an_alert(vehicles, cli):
    write(readings(until={"south": 45}))
    ended, _, metrics = look(cli, "readings.ndjson", "--alert", "silent>30", "--alert", "silent[device=south]>30",
                             "--alert", "silent[device=north]>30", "--alert", "readings[device=east]<1")  # fmt: skip
    assert ended.code == 1
    for words in (
        "ALERT: silent>30",
        "ALERT: silent[device=south]",
        "ok: silent[device=north]",
        "ALERT: readings[device=east]",
    ):
        assert words in ended.err, ended.err
    assert 44 < metrics["silent", "device", "south"]["value"] < 52
    assert metrics["silent", None, None]["value"] == metrics["silent", "device", "south"]["value"]


def test_no_readings_at_all(vehicles, cli):
    write([dict(one, time="2020-01-01T00:00:00Z") for one in readings(hours=1)])
    ended, _, metrics = look(cli, "readings.ndjson", "--alert", "max[temperature]>80", "--alert", "readings<1")
    assert ended.code == 1 and "no readings in the window" in ended.err
    assert metrics["readings", None, None]["value"] == 0


def test_drift_of_readings_from_those_before_the_window_or_another_table(vehicles, cli):
    write(readings())
    write(readings(hours=20, hotter=25.0), "hot.ndjson")
    ask = ("--alert", "psi[temperature]>0.2", "--alert", "psi[humidity]>0.2")
    assert cli(*WATCH, "readings.ndjson", *ask).code == 0
    ended = cli(*WATCH, "hot.ndjson", *ask)
    assert ended.code == 3 and "no readings before the window to compare with" in ended.err
    ended = cli(*WATCH, "hot.ndjson", "--telemetry-reference", "readings.ndjson", *ask)
    assert ended.code == 1 and "ALERT: psi[temperature]" in ended.err and "ok: psi[humidity]" in ended.err


def test_how_the_model_does_by_what_was_read(vehicles, cli):
    write(readings())
    ended, told, metrics = look(
        cli, "readings.ndjson", "--actuals", "truth.parquet", "--alert", "accuracy[temperature=q4]<0.6",
        "--alert", "accuracy[temperature=q1]<0.6",
    )  # fmt: skip
    assert ended.code == 1
    assert "ALERT: accuracy[temperature=q4]" in ended.err and "ok: accuracy[temperature=q1]" in ended.err
    table = [one for one in told["telemetry"]["quarters"] if one["column"] == "temperature"]
    assert [one["level"] for one in table] == ["q1", "q2", "q3", "q4"]
    assert sum(one["rows"] for one in table) == told["telemetry"]["joined"] == 1200
    for before, after in pairwise(table):
        assert before["least"] <= before["greatest"] <= after["least"]
    assert table[3]["score"] < 0.6 < 0.9 < table[0]["score"]
    assert table[0]["confidence"] == metrics["mean_confidence", "temperature", "q1"]["value"]


def test_predictions_take_the_last_reading_of_their_own_device_not_an_old_or_a_later_one(vehicles, cli):
    """Readings of one camera only, that stop for a part of the day: the rest of the rows has none."""
    rows = [dict(one, temperature=float(n)) for n, one in enumerate(readings(devices=["north"]))]
    gap = datetime.now(UTC) - timedelta(hours=10)
    write([one for one in rows if datetime.strptime(one["time"], STAMP).replace(tzinfo=UTC) < gap])
    _, told, _ = look(cli, "readings.ndjson")
    answered = np.arange(1200) / 1200 * 20  # hours since the first
    mine = (vehicles["camera"] == "north").to_numpy() & (answered < 10.25)
    assert told["telemetry"]["joined"] == pytest.approx(mine.sum(), abs=4)
    none = [one["rows"] for one in told["telemetry"]["quarters"] if one["level"] == watch_telemetry.NONE]
    assert set(none) == {1200 - told["telemetry"]["joined"]}


def test_bad_readings_are_counted_and_never_stop_a_run(vehicles, cli):
    good = readings(hours=30, devices=["north"])
    later = (datetime.now(UTC) + timedelta(hours=3)).strftime(STAMP)
    write([
        *good,
        dict(good[-1], temperature="err"),  # the last of a time counts
        dict(good[-2], temperature=None),
        dict(good[-9], time="yesterday"),
        dict(good[-9], time=None),
        dict(good[-9], time=later),
        '{"time": "2026-01-01T00:00:00Z", "device": "north", "temperature": NaN}',
        '{"time": "2026-01-0',
    ])  # fmt: skip
    ended, told, metrics = look(cli, "readings.ndjson", "--alert", "max[temperature]>80")
    assert ended.code == 0, ended.err
    counts = told["telemetry"]
    assert counts["damaged"] == 2 and counts["bad"]["temperature"] == 1
    assert (counts["untimed"], counts["future"], counts["repeated"], counts["unordered"]) == (2, 1, 2, 1)
    parts = ("used", "earlier", "repeated", "untimed", "future")
    assert counts["read"] == sum(counts[part] for part in parts) == len(good) + 5
    assert metrics["null_share", "temperature", None]["value"] == pytest.approx(2 / counts["used"])
    for words in ("2 damaged lines", "no number: 1 of temperature", "1 readings came after a later one"):
        assert words in ended.err, ended.err


def test_rubbish_among_readings_is_damage_and_rubbish_alone_is_said(vehicles, cli):
    (good,) = readings(hours=30, devices=["north"])[-1:]
    write([good, good | {"temperature": {"v": 3}}])
    ended, told, _ = look(cli, "readings.ndjson", "--alert", "max[temperature]>80")
    assert ended.code == 0 and told["telemetry"]["damaged"] == 1, ended.err
    write([good | {"device": ["a"]}, good | {"device": {"a": 1}}])
    ended = cli(*WATCH, "readings.ndjson")
    assert ended.code == 4 and "readings.ndjson: none of its 2 lines is a reading" in ended.err


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_of_any_kind_and_columns_of_any_name(vehicles, cli, kind):
    frame = pl.DataFrame(readings(hours=2)).rename({"time": "when", "device": "box"})
    frame = frame.with_columns(when=pl.col("when").str.to_datetime(STAMP).dt.epoch("s"))
    getattr(frame, f"write_{kind}")(f"readings.{kind}")
    ended = cli(*WATCH, f"readings.{kind}")
    assert ended.code == 4 and "--telemetry-time" in ended.err
    named = (f"readings.{kind}", "--telemetry-time", "when", "--telemetry-device", "box")
    _, told, metrics = look(cli, *named, "--alert", "silent[box=north]>30")
    assert told["telemetry"]["used"] == 72 and told["exit"] == 0
    assert metrics["readings", "box", "north"]["value"] == 24
    assert told["telemetry"]["joined"] > 0  # the log's camera is the box


def test_a_quantity_that_is_called_like_a_column_of_the_log(vehicles, cli):
    write([dict(one, brightness=one.pop("temperature")) for one in readings(hours=2)])
    _, _, metrics = look(cli, "readings.ndjson")
    assert metrics["max", "telemetry.brightness", None]["value"] < 51
    assert metrics["max", "brightness", None]["value"] > 60


@pytest.mark.parametrize(
    ("rows", "code", "says"),
    [
        ([{"time": "2026-01-01", "word": "a"}], 4, "no column of numbers"),
        ([{"value": 1}], 4, "no column for the time"),
        ([], 4, ""),
        ([{"time": "2026-01-01", **{f"c{n}": n for n in range(51)}}], 4, "51 columns of numbers"),
    ],
)
def test_what_is_no_telemetry_is_one_line(vehicles, cli, rows, code, says):
    write(rows)
    ended = cli(*WATCH, "readings.ndjson")
    assert ended.code == code and says in ended.err and "Traceback" not in ended.err
    assert cli(*WATCH, "nowhere.csv").code == 4
    assert cli(*WATCH, "readings.ndjson", "--telemetry-device", "box").code == 4


def test_times_in_many_forms(work):
    same = [
        "2026-01-01T10:00:00Z",
        "2026-01-01 11:00:00+01:00",
        1767261600,
        1767261600000,
        1767261600000000,
        "1767261600",
    ]
    for number, value in enumerate(same):
        write([{"at": value, "t": 1}], f"{number}.ndjson")
        found = watch_readings.read(Context(), f"{number}.ndjson", None, None, "", "2026-02-01T00:00:00.000000Z")
        assert found.frame["at"].to_list() == [datetime(2026, 1, 1, 10)], value
