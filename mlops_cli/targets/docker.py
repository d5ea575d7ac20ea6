"""Deployment target docker: an image through the Docker engine, called built only when it has answered."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from io import BufferedRandom
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.errors import Usage
from mlops_cli.targets import context, engine, platforms, smoke
from mlops_cli.targets.base import Built, Order

FORMAT = 1
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?")
_TAG = re.compile(r"([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?")


def build(order: Order, directory: Path) -> Built:
    """Build, start once, compare, tag and if asked push; `directory` gets package.json and the Dockerfile.

    With `dry_run` it gets the whole build context, and no engine is asked.
    """
    base = order.base or f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"
    _check_names(order, base)
    named = replace(order, tag=order.tag or f"{order.name}:{order.shown_version}")
    if order.dry_run:
        return _write_context(named, base, directory)
    with engine.connect() as client:
        return _build(client, named, base, directory)


def _check_names(order: Order, base: str) -> None:
    """Usage for names that no engine takes, before any work."""
    if not _REFERENCE.fullmatch(base):
        raise Usage(f"--base {base!r} is not the name of an image", "e.g. --base python:3.11-slim")
    if order.tag is not None and not _TAG.fullmatch(order.tag):
        raise Usage(f"--tag {order.tag!r} is not the name of an image", "e.g. --tag flights:1, in lower case")
    if order.push and not order.tag:
        raise Usage("--push needs --tag, which says where to", "e.g. --tag registry.example.com/flights:1 --push")
    if order.push and order.dry_run:
        raise Usage("--push and --dry-run exclude each other")


def _write_context(order: Order, base: str, directory: Path) -> Built:
    """The build context of a dry run, for the official image of our own Python version."""
    folder = directory / "context"
    folder.mkdir()
    versions = context.assemble(order, platforms.assumed(), base, None, folder)
    facts = _facts(order, base, versions, _digest(order, folder))
    _write(directory, facts)
    return Built((f"no image: the build context lies in context/, docker build -t {order.tag} makes it",), facts)


def _build(client: Any, order: Order, base: str, directory: Path) -> Built:
    """The image, and its description in `directory`."""
    parent = engine.base_image(client, base, order.note)
    platform = engine.probe(client, parent, base)
    with tempfile.TemporaryDirectory(prefix="mlops-context-") as name, tempfile.TemporaryFile() as tar:
        folder = Path(name)
        versions = context.assemble(order, platform, base, engine.digest(parent), folder)
        shutil.copyfile(folder / "Dockerfile", directory / "Dockerfile")
        digest = _pack(order, folder, tar)
        image = engine.build(client, tar, order.progress)
    try:
        answers = smoke.check(client, image, order.model)
        engine.tag(image, str(order.tag))
    except BaseException:
        engine.discard(client, image)
        raise
    facts = _facts(order, base, versions, digest)
    facts["base"] |= {"id": parent.id, "digest": engine.digest(parent)}
    facts |= {"image": image.id, "bytes": image.attrs["Size"], "smoke": "passed", "answer": answers}
    if order.push:
        facts["pushed"] = engine.push(client, str(order.tag))
    _write(directory, facts)
    return Built(_lines(facts), facts)


def _facts(order: Order, base: str, versions: dict[str, str], digest: str) -> dict[str, Any]:
    """What package.json says of an image that is not there yet."""
    return {
        "format": FORMAT,
        "target": "docker",
        "model": {"id": order.model.id, "name": order.name, "version": order.version},
        "tag": order.tag,
        "image": None,
        "bytes": None,
        "smoke": "not run",
        "base": {"name": base, "id": None, "digest": None},
        "context": digest,
        "packages": versions,
    }


def _pack(order: Order, folder: Path, tar: BufferedRandom) -> str:
    """Write the context's tar and rewind it; its digest."""
    context.pack(folder, order.created, tar)
    tar.seek(0)
    digest = hashlib.file_digest(tar, "sha256").hexdigest()
    tar.seek(0)
    return f"sha256:{digest}"


def _digest(order: Order, folder: Path) -> str:
    """The digest that the tar of a context would have."""
    with tempfile.TemporaryFile() as tar:
        return _pack(order, folder, tar)


def _write(directory: Path, facts: dict[str, Any]) -> None:
    """package.json, for people too."""
    text = msgspec.json.format(msgspec.json.encode(facts, order="sorted"), indent=1)
    (directory / "package.json").write_bytes(text + b"\n")


def _lines(facts: dict[str, Any]) -> tuple[str, ...]:
    """What people are told."""
    size = f"{facts['bytes'] / 1e6:.0f} MB"
    lines = [f"image {facts['tag']} {facts['image'].removeprefix('sha256:')[:12]}, {size}, answered as recorded"]
    if facts.get("pushed"):
        lines.append(f"pushed {facts['tag']} {facts['pushed']}")
    return tuple(lines)
