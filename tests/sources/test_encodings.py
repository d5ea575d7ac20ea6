"""Text that is not UTF-8 is refused with the command that converts it, whatever it holds and wherever it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEXTS = {"csv": "name,n\nJosé,1\nÅsa,2\n", "ndjson": '{"name":"José","n":1}\n{"name":"Åsa","n":2}\n'}


@pytest.mark.parametrize("kind", list(TEXTS))
@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE"])
def test_wide_characters_with_and_without_a_mark(
    cli: Callable[..., Any], shell: Callable[..., Any], work: Path, kind: str, encoding: str
) -> None:
    (work / f"good.{kind}").write_text(TEXTS[kind], encoding="utf-8")
    (work / f"wide.{kind}").write_bytes(TEXTS[kind].encode(encoding))
    for names in ([f"wide.{kind}"], [f"good.{kind}", f"wide.{kind}"]):
        ended = cli("ingest", *names)
        assert (ended.code, ended.out) == (4, "")
    hint = f"iconv -f {encoding} -t UTF-8 wide.{kind} | mlops ingest -"
    ended = cli("ingest", f"wide.{kind}")
    assert ended.err.splitlines() == [
        f"mlops ingest: corrupt: wide.{kind} is {encoding} text, not UTF-8",
        f"hint: {hint}",
    ]
    if encoding == "UTF-16BE":
        assert cli("ingest", f"good.{kind}").ref == shell(hint).ref


@pytest.mark.parametrize("kind", list(TEXTS))
def test_latin_1(cli: Callable[..., Any], work: Path, kind: str) -> None:
    (work / f"old.{kind}").write_bytes(TEXTS[kind].encode("latin-1"))
    ended = cli("ingest", f"old.{kind}")
    assert (ended.code, ended.out, len(ended.err.splitlines()) <= 2) == (4, "", True)
    assert f"old.{kind}:" in ended.err
