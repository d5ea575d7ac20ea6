"""Manifests: digests that hold, and everything that is not the manifest that was written is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import forged, sealed

from mlops_cli.errors import Corrupt, Integrity, MlopsError
from mlops_cli.store import artefact, manifest
from mlops_cli.store.manifest import FileEntry, Input, Manifest

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
DIGEST = st.binary(min_size=32, max_size=32).map(bytes.hex)
PART = st.from_regex(r"[a-zA-Z0-9_-][a-zA-Z0-9._ é-]{0,8}", fullmatch=True)
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)
MANIFESTS = st.builds(
    Manifest,
    format=st.just(1),
    kind=st.sampled_from(artefact.KINDS),
    id=st.just(""),
    created=st.just("2026-01-02T03:04:05Z"),
    tool=TEXT,
    command=st.lists(TEXT, max_size=4),
    inputs=st.lists(st.builds(Input, kind=TEXT, id=DIGEST, ref=TEXT), max_size=3),
    files=st.lists(st.builds(FileEntry, PATH, st.integers(0, 2**63), DIGEST), max_size=4, unique_by=lambda f: f.path),
    params=st.dictionaries(TEXT, PLAIN, max_size=3),
    seed=st.none() | st.integers(),
    schema=st.dictionaries(TEXT, TEXT, max_size=3),
    environment=st.dictionaries(TEXT, PLAIN, max_size=2),
    self_=st.just(""),
)


@given(MANIFESTS)
def test_what_is_written_is_read(made: Manifest) -> None:
    made = msgspec.structs.replace(made, id=manifest.content_id(made.kind, made.files))
    read = manifest.decode(manifest.encode(made), "m")
    assert msgspec.structs.replace(read, self_="") == made
    assert manifest.encode(read) == manifest.encode(made), "writing again what was read gives the same bytes"


@given(PLAIN)
def test_canonical_json_means_what_json_means(value: Any) -> None:
    text = manifest.canonical(value)
    assert json.loads(text) == value
    assert manifest.canonical(json.loads(text)) == text
    assert b"\n" not in text

    def keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert [key for key, _ in pairs] == sorted(key for key, _ in pairs), "sorted as `json` sorts them"
        return dict(pairs)

    json.loads(text, object_pairs_hook=keys)


@given(PLAIN.filter(lambda value: "." not in json.dumps(value) and "e" not in json.dumps(value).lower()))
def test_canonical_json_has_the_bytes_of_json(value: Any) -> None:
    wanted = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if "\x7f" not in wanted:
        assert manifest.canonical(value).decode() == wanted


def test_numbers_that_json_does_not_have_are_null() -> None:
    assert manifest.canonical([math.nan, math.inf, -math.inf]) == b"[null,null,null]"


def test_keys_that_are_no_text_are_written_as_text() -> None:
    assert manifest.canonical({2: "b", 1: {3, 1}}) == b'{"1":[1,3],"2":"b"}'


def test_id_is_kind_and_files_alone(tmp_path: Path) -> None:
    one = sealed(tmp_path / "a", command=["x"], params={"p": 1}, seed=3)
    other = sealed(tmp_path / "b", inputs=[Input("split", "sha256:0", "s")], created="2027-01-01T00:00:00Z")
    assert one.id == other.id
    assert one.manifest.self_ != other.manifest.self_
    assert sealed(tmp_path / "c", kind="report").id != one.id
    assert sealed(tmp_path / "d", payload={"model.txt": b"tree\n"}).id != one.id
    assert sealed(tmp_path / "e", payload={"model.txt": b"Tree\n", "signature.json": b'{"format":1}'}).id != one.id


def test_self_is_the_digest_without_itself_that_jq_would_compute(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a", params={"é": [1, 2.5, None, "x\n"]})
    fields = json.loads((made.path / "manifest.json").read_text())
    own = fields.pop("self")
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert own == manifest.sha256(text)


def test_unknown_keys_are_kept_in_self_and_ignored(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a")
    path = made.path / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["self"]
    fields["later"] = {"x": 1}
    fields["files"][0]["later"] = True
    fields["id"] = manifest.content_id("model", made.manifest.files)
    path.write_text(json.dumps({**fields, "self": manifest.sha256(manifest.canonical(fields))}))
    assert artefact.open_artefact(made.path).id == made.id


@pytest.mark.parametrize("number", [2, 99, 10**30])
def test_a_higher_format_is_refused(tmp_path: Path, number: int) -> None:
    made = sealed(tmp_path / "a")
    path = made.path / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', f'"format": {number}'))
    with pytest.raises(Corrupt, match="newer") as caught:
        artefact.open_artefact(made.path)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"format": "1"}', b'{"format": true}', b'{"format": 0}',
        b'{"format": null}', b'{"format": 1.5}', b"\xff\xfe", b'{"format": 1, "a": "\xff"}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_corrupt(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises((Corrupt, Integrity)):
        artefact.open_artefact(tmp_path)


def test_every_changed_byte_of_a_manifest_shows(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a", params={"x": 1})
    path = made.path / "manifest.json"
    good = path.read_bytes()
    for position in range(len(good)):
        for bit in (1, 0x20):
            bad = good[:position] + bytes([good[position] ^ bit]) + good[position + 1 :]
            try:
                read = manifest.decode(bad, path)
            except MlopsError:
                continue
            assert read == made.manifest, f"byte {position}: accepted as another manifest"
            assert chr(good[position]).isspace(), f"byte {position}: only white space may differ"


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "..", "a\\b", "a/./b", "x\0y", "a/"]
)
def test_paths_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    made = sealed(tmp_path / "a")
    forged(made.path, files=[FileEntry(name, 5, "0" * 64)])
    with pytest.raises(Integrity, match="outside"):
        artefact.open_artefact(made.path)


def test_a_path_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a")
    forged(made.path, files=[*made.manifest.files, FileEntry("model.txt", 1, "0" * 64)])
    with pytest.raises(Integrity, match="same path"):
        artefact.open_artefact(made.path)


def test_a_table_of_files_that_is_not_the_ids_is_refused(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a")
    path = made.path / "manifest.json"
    fields = msgspec.structs.replace(made.manifest, files=made.manifest.files[:1])
    path.write_bytes(manifest.encode(fields))
    with pytest.raises(Integrity, match="id does not match"):
        artefact.open_artefact(made.path)
