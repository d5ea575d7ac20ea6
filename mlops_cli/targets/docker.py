"""Deployment target docker: an image through the Docker engine, called built only when it has answered."""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import msgspec

from mlops_cli.errors import Outside, Usage
from mlops_cli.targets import context, engine, native, platforms, smoke, wheels
from mlops_cli.targets.base import Built, Order
from mlops_cli.targets.platforms import Platform

FORMAT = 1
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?")
_TAG = re.compile(r"([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?")
_FOREIGN_TOLERANCE = 1e-9  # between builds of LightGBM and the C library for two platforms


def build(order: Order, directory: Path) -> Built:
    """Build, start once, compare, tag and if asked push; `directory` gets package.json and the Dockerfile.

    With `dry_run` it gets the whole build context, and no engine is asked.
    """
    base = order.base or f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"
    _check_names(order, base)
    if order.dry_run:
        return _write_context(order, base, directory)
    with engine.connect() as client:
        return _build(client, order, base, directory)


def _check_names(order: Order, base: str) -> None:
    """Usage for names that no engine takes, before any work."""
    if not _REFERENCE.fullmatch(base):
        raise Usage(f"--base {base!r} is not the name of an image", "e.g. --base python:3.11-slim")
    if order.tag is not None and not _TAG.fullmatch(order.tag):
        raise Usage(f"--tag {order.tag!r} is not the name of an image", "e.g. --tag flights:1; lower case")
    if order.push and not order.tag:
        raise Usage("--push needs --tag", "e.g. --tag registry.example.com/flights:1 --push")
    if order.push and order.dry_run:
        raise Usage("--push and --dry-run exclude each other")


def _write_context(order: Order, base: str, directory: Path) -> Built:
    """The build context of a dry run, for the official image's platform or what comes nearest."""
    folder = directory / "context"
    folder.mkdir()
    versions = context.assemble(order, platforms.assumed(), base, None, folder)
    facts = {**_facts(order, base, None, None, versions), "context": _packed(order, folder)[1]}
    _write(directory / "package.json", facts)
    return Built((f"wrote the build context for {base}; docker build context/ makes the image",), facts)


def _build(client: Any, order: Order, base: str, directory: Path) -> Built:
    """The image, its payload files in `directory`."""
    parent = engine.base_image(client, base, order.note)
    platform = engine.probe(client, parent, base)
    with tempfile.TemporaryDirectory(prefix="mlops-context-") as name:
        folder = Path(name)
        versions = context.assemble(order, platform, base, engine.digest(parent), folder)
        tar, digest = _packed(order, folder)
        (directory / "Dockerfile").write_bytes((folder / "Dockerfile").read_bytes())
    with tar:
        image = engine.build(client, tar, order.progress)
    try:
        smoke.check(client, image, order.model, tolerance=_tolerance(platform))
        tag = order.tag or f"{order.name}:{order.version}"
        engine.tag(image, tag)
    except BaseException:
        engine.discard(client, image)
        raise
    facts = {**_facts(order, base, parent, image, versions), "context": digest, "tag": tag, "smoke": "passed"}
    if order.push:
        facts["digest"] = engine.push(client, tag)
    _write(directory / "package.json", facts)
    return Built(_lines(facts), facts)
