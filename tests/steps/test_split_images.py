"""Images divided: by their bytes, near-duplicates in one part, cameras cut in their own time, and all of it told."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from image_tables import SCHEMA, START, drawn, table

Cli = Callable[..., Any]
PARTS = ("train", "valid", "test")


def frames(rows: int, *, cameras: int = 4, seed: int = 0, seconds: int = 30) -> pl.DataFrame:
    """Rows of a table of images, unlike each other; the bytes are not those of pictures, which splitting never asks."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "image": [{"bytes": b"%d" % number, "path": f"{number}.jpg"} for number in range(rows)],
        "label": [("car", "van", "bus")[number % 3] for number in range(rows)],
        "sha256": [f"{seed}-{number}" for number in range(rows)],
        "phash": rng.integers(0, 2**64, rows, dtype=np.uint64),
        "time": [START + datetime.timedelta(seconds=seconds * (number // cameras)) for number in range(rows)],
        "camera": [f"cam-{number % cameras}" for number in range(rows)],
    }
    return pl.DataFrame({name: made.get(name, [None] * rows) for name in SCHEMA}, schema=SCHEMA)


def copies(frame: pl.DataFrame, bits: int = 3) -> pl.DataFrame:
    """The same images once more, each with a few bits of its hash turned and bytes of its own."""
    turned = frame["phash"].to_numpy() ^ np.uint64((1 << bits) - 1)
    return frame.with_columns(phash=pl.Series(turned), sha256="copy-" + pl.col("sha256"))


def split(cli: Cli, frame: pl.DataFrame, *flags: object, out: str = "parts") -> tuple[dict[str, Any], Any]:
    """The certificate, and how the command ended."""
    frame.write_parquet("t.parquet")
    done = cli("split", "t.parquet", "-o", out, "--force", *flags)
    path = Path(out, "certificate.json")
    return (json.loads(path.read_bytes()) if done.code == 0 else {}), done


def parts(out: str = "parts") -> dict[str, pl.DataFrame]:
    return {part: pl.read_parquet(f"{out}/{part}/*.parquet") for part in PARTS}


def shared(left: pl.DataFrame, right: pl.DataFrame, bits: int = 6) -> int:
    """Rows of `right` that look like one of `left`, by brute force."""
    ours, theirs = left["phash"].drop_nulls().to_numpy(), right["phash"].drop_nulls().to_numpy()
    return int((np.bitwise_count(theirs[:, None] ^ ours[None, :]) <= bits).any(axis=1).sum())


def leaks(out: str = "parts") -> int:
    found = parts(out)
    later = pl.concat([found["valid"], found["test"]])
    return shared(found["train"], later) + shared(found["valid"], found["test"])


@pytest.mark.parametrize(
    "flags", [(), ("--stratify", "label"), ("--group", "camera"), ("--key", "label", "--key", "sha256")]
)
def test_no_image_has_a_near_duplicate_in_another_part(cli: Cli, flags: tuple[str, ...]) -> None:
    frame = pl.concat([frames(300, cameras=30), copies(frames(300, cameras=30)).with_columns(label=pl.lit("car"))])
    certificate, done = split(cli, frame, *flags, "--test", "0.3", "--valid", "0.2")
    assert done.code == 0, done.err
    assert leaks() == 0
    alike = certificate["near_duplicates"]
    assert alike["in_train"] == {"valid": 0, "test": 0} and alike["apart"] and certificate["clean"]
    rows = sum(part["rows"] for part in certificate["parts"].values()) + alike["left_out"]
    assert rows == 600 == sum(part.height for part in parts().values()) + alike["left_out"]
    if not flags:
        assert (alike["clusters"], alike["largest"], alike["left_out"]) == (300, 2, 0)


def test_without_it_the_leak_is_counted_and_the_audit_finds_it(cli: Cli) -> None:
    frame = pl.concat([frames(300), copies(frames(300))])
    certificate, _ = split(cli, frame, "--near", "off")
    assert "near_duplicates" not in certificate
    found = parts()
    wanted = shared(found["train"], found["test"])
    assert wanted > 20
    done = cli("split", "--audit", "parts/train", "parts/test", "--json")
    told = json.loads(done.out)
    assert done.code == 1 and told["near_duplicates"]["in_train"] == {"test": wanted}
    assert f"{wanted} rows of test look like one of train (phash within 6 bits)" in done.err
    assert cli("split", "--audit", "parts/train", "parts/test", "--near", "phash=2").code == 0
    split(cli, frame)
    assert cli("split", "--audit", "parts/train", "parts/test").code == 0


def test_images_are_placed_by_their_bytes_and_stay_when_more_come(cli: Cli) -> None:
    before, after = frames(200), pl.concat([frames(200), frames(100, seed=5)]).with_columns(label=pl.lit("new"))
    split(cli, before.with_columns(brightness=pl.lit(0.5)))
    first = parts()
    certificate, _ = split(cli, after.reverse(), out="more")
    second = parts("more")
    assert certificate["columns"] == ["sha256"]
    for part in PARTS:
        assert set(first[part]["sha256"]) <= set(second[part]["sha256"])
    split(cli, before, "--key", "sha256", "--near", "off", out="keyed")
    assert parts("keyed")["test"]["sha256"].to_list() == first["test"]["sha256"].to_list()


def test_a_cluster_moves_seldom_when_it_grows(cli: Cli) -> None:
    frame = frames(300)
    grown = pl.concat([frame, copies(frame, 2), copies(frame, 3).with_columns(sha256="b" + pl.col("sha256"))])
    split(cli, frame)
    split(cli, grown, out="grown")
    one, other = parts(), parts("grown")
    moved = sum(len(set(one[part]["sha256"]) - set(other[part]["sha256"])) for part in PARTS)
    assert leaks("grown") == 0
    assert 0 < moved < 300 * 2 / 3  # another row decides with a chance of 2 in 3, and is in the same part half the time
    shares = [other[part].height / grown.height for part in PARTS]
    assert abs(shares[0] - 0.7) < 0.08 and abs(shares[2] - 0.2) < 0.08


def test_a_chain_that_swallows_much_is_train_and_one_that_swallows_all_is_refused(cli: Cli) -> None:
    still = frames(400, seed=1)
    steps = np.bitwise_xor.accumulate(np.uint64(1) << (np.arange(400, dtype=np.uint64) % 64))
    still = still.with_columns(phash=pl.Series(steps))
    certificate, done = split(cli, pl.concat([frames(200), still]))
    assert certificate["near_duplicates"]["largest"] == 400 and leaks() == 0
    assert "1 cluster of near-duplicates, of 400 rows, is in one part" in done.err
    assert set(still["sha256"]) <= set(parts()["train"]["sha256"])
    _, done = split(cli, still, out="none")
    assert done.code == 4 and "400 of 400 rows look alike" in done.err and "--near phash=3" in done.err
    assert not Path("none").exists()


def test_every_camera_is_cut_in_its_own_time(cli: Cli) -> None:
    late = frames(80, cameras=1, seed=2).with_columns(camera=pl.lit("late"), time=pl.col("time") + pl.duration(days=3))
    short = frames(2, cameras=1, seed=3).with_columns(camera=pl.lit("short"))
    frame = pl.concat([frames(400), late, short])
    certificate, done = split(cli, frame, "--time", "time", "--group", "camera", "--embargo", "1m")
    found = parts()
    for camera in ("cam-0", "cam-3", "late"):
        train, valid, test = (found[part].filter(pl.col("camera") == camera)["time"] for part in PARTS)
        gap = datetime.timedelta(minutes=1)
        assert train.max() < valid.min() - gap and valid.max() < test.min() - gap
        assert abs(len(test) / frame.filter(pl.col("camera") == camera).height - 0.2) < 0.02
    assert found["train"].filter(pl.col("camera") == "short").height == 2
    assert certificate["cut_offs"]["groups_in_train"] == 1 and len(certificate["cut_offs"]["groups"]) == 5
    assert certificate["method"] == "time" and certificate["columns"] == ["camera", "time"]
    assert certificate["leaks"] == {"duplicate_rows": 0, "group_overlap": None, "time_overlap": 0}
    assert certificate["neighbours"] == {
        "column": "time", "group": "camera", "within": "1m", "apart": True, "in_train": {"valid": 0, "test": 0},
        "unknown": 0,
    }  # fmt: skip
    assert certificate["embargoed"] == 2 * 2 * 5
    assert "for each camera its own, 5 in all; 1 more with too few times are train" in done.err


def test_a_date_cuts_all_cameras_at_once(cli: Cli) -> None:
    cut = START + datetime.timedelta(minutes=30)
    early = frames(20, cameras=1, seed=4).with_columns(camera=pl.lit("gone"))
    frame = pl.concat([frames(400), early])
    certificate, _ = split(cli, frame, "--time", "time", "--group", "camera", "--test", cut.isoformat())
    found = parts()
    assert found["test"]["time"].min() == cut and found["train"]["time"].max() < cut
    assert certificate["neighbours"]["within"] == "1m" and not certificate["neighbours"]["apart"]
    assert not found["test"]["camera"].is_in(["gone"]).any()


def test_time_counts_what_looks_alike_and_leaves_it_out_when_asked(cli: Cli) -> None:
    frame = pl.concat([frames(200), copies(frames(200)).with_columns(time=pl.col("time") + pl.duration(days=1))])
    certificate, done = split(cli, frame, "--time", "time")
    found = parts()
    told = shared(found["train"], found["test"])
    assert certificate["near_duplicates"]["in_train"]["test"] == told > 0 and certificate["clean"]
    assert f"{told} rows of test look like one of train" in done.err and "leak" not in done.err
    certificate, done = split(cli, frame, "--time", "time", "--near", "phash", out="apart")
    assert leaks("apart") == 0 and certificate["near_duplicates"]["left_out"] >= told
    assert parts("apart")["test"].height == found["test"].height
    assert "left out as near-duplicates" in done.err


def test_neighbours_in_time_are_told_of_a_split_by_rows(cli: Cli) -> None:
    certificate, done = split(cli, frames(400))
    found = parts()
    train, test = found["train"], found["test"]
    near = test.join(train, on="camera").filter((pl.col("time") - pl.col("time_right")).abs() <= pl.duration(minutes=1))
    wanted = near["sha256"].n_unique()
    assert certificate["neighbours"]["in_train"]["test"] == wanted > 0 and certificate["clean"]
    assert f"{wanted} rows of test are within 1m of one of train of the same camera" in done.err
    asked = ("--time", "time", "--group", "camera", "--embargo", "30s", "--json")
    audit = json.loads(cli("split", "--audit", "parts/train", "parts/test", *asked).out)
    close = near.filter((pl.col("time") - pl.col("time_right")).abs() <= pl.duration(seconds=30))
    assert audit["exit"] == 1 and audit["neighbours"]["in_train"] == {"test": close["sha256"].n_unique()}


def test_without_hash_time_or_camera(cli: Cli) -> None:
    half = pl.int_range(pl.len()) % 2 == 0
    frame = pl.concat([frames(200), copies(frames(200))])
    holes = frame.with_columns(pl.when(half).then(name).alias(name) for name in ("phash", "time", "camera"))
    certificate, _ = split(cli, holes)
    assert leaks() == 0 and certificate["near_duplicates"]["unknown"] == 200 == certificate["neighbours"]["unknown"]
    for flags, column in ((("--time", "time"), "time"), (("--group", "camera"), "camera")):
        _, done = split(cli, holes, *flags, out="none")
        assert done.code == 4 and f"200 rows have no value in '{column}'" in done.err
    _, done = split(cli, holes.with_columns(frame["time"]), "--time", "time", "--group", "camera", out="none")
    assert done.code == 4 and "200 rows have no value in 'camera'" in done.err
    _, done = split(cli, frame.with_columns(sha256=pl.when(half).then("sha256")), out="none")
    assert done.code == 4 and "200 rows have no value in 'sha256'" in done.err


def test_tables_without_images_are_left_as_they_were(cli: Cli) -> None:
    frame = frames(200).drop("image")
    certificate, _ = split(cli, frame)
    assert "near_duplicates" not in certificate and "neighbours" not in certificate
    assert certificate["columns"] == sorted(frame.columns)
    split(cli, pl.concat([frame, copies(frame)]), "--near", "phash")
    assert leaks() == 0


def test_pictures_drawn_again_stay_together_and_keep_their_bytes(cli: Cli) -> None:
    frame = table([drawn(seed, noise=noise) for seed in range(60) for noise in (0, 1)])
    certificate, _ = split(cli, frame)
    assert certificate["near_duplicates"]["clusters"] >= 50
    found = pl.concat(parts().values()).sort("sha256")
    assert found.equals(frame.sort("sha256"))


def test_evaluate_tells_that_test_images_look_like_training_ones(cli: Cli) -> None:
    frame = pl.concat([frames(200), copies(frames(200)).with_columns(time=pl.col("time") + pl.duration(days=1))])
    frame = frame.with_columns(x=pl.int_range(pl.len()) % 7)
    certificate, _ = split(cli, frame, "--time", "time")
    frame.select("label", "x").write_parquet("rows.parquet")
    done = cli("evaluate", cli("train", "rows.parquet", "--target", "label").ref, "--data", "parts")
    count = certificate["near_duplicates"]["in_train"]["test"]
    assert done.code == 0 and f"the metrics may flatter: {count} rows of test look like one of train" in done.err
