"""The manifest of an artefact: what it is, what is in it, and where it comes from."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import msgspec

from mlops_cli.errors import Corrupt, Integrity

FORMAT = 1
NAME = "manifest.json"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading bytes that are not the JSON they should be raises."""


class FileEntry(msgspec.Struct, frozen=True):
    """One payload file: path relative to the artefact, with `/`; bytes; SHA-256 in hex."""

    path: str
    bytes: int
    sha256: str


class Input(msgspec.Struct, frozen=True):
    """What an artefact was made from: its kind, its id (`sha256:…`), and how it was called then."""

    kind: str
    id: str
    ref: str


class Manifest(msgspec.Struct, frozen=True, rename={"self_": "self"}):
    """`id` is the digest of kind and file table; `self` the digest of the manifest without that key."""

    format: int
    kind: str
    id: str
    created: str
    tool: str
    command: list[str]
    inputs: list[Input]
    files: list[FileEntry]
    params: dict[str, Any] = {}
    seed: int | None = None
    schema: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    self_: str = ""


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8: the bytes that digests are taken of. NaN and infinity are null."""
    return msgspec.json.encode(msgspec.to_builtins(value, str_keys=True, order="sorted"), order="sorted")


def sha256(data: bytes) -> str:
    """`sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dirname(digest: str) -> str:
    """A digest as the name of a directory: `sha256-…`."""
    return digest.replace(":", "-", 1)


def content_id(kind: str, files: list[FileEntry]) -> str:
    """The id of an artefact: the same kind and the same bytes in the same files give the same id, anywhere."""
    table = sorted(files, key=lambda entry: entry.path)
    return sha256(canonical({"kind": kind, "files": table}))


def encode(manifest: Manifest) -> bytes:
    """The manifest's file: indented for people, with its own digest in `self`."""
    fields = msgspec.to_builtins(manifest, str_keys=True)
    del fields["self"]
    fields["self"] = sha256(canonical(fields))
    return msgspec.json.format(msgspec.json.encode(fields), indent=1) + b"\n"


def decode(data: bytes, where: str | os.PathLike[str]) -> Manifest:
    """Read and check a manifest. Corrupt when it is not one, Integrity when it is not the one that was written."""
    try:
        fields = msgspec.json.decode(data)
        number = fields["format"]
    except (*UNREADABLE, TypeError, KeyError):
        raise Corrupt(f"{where}: not a manifest of mlops") from None
    if type(number) is not int or number < 1:
        raise Corrupt(f"{where}: {str(number)[:40]!r} is not a format of a manifest")
    if number > FORMAT:
        raise Corrupt(f"{where}: format {number} is newer than this mlops reads ({FORMAT})", "upgrade mlops-cli")
    own = fields.pop("self", None)
    if own != sha256(canonical(fields)):
        raise Integrity(f"{where}: the manifest was changed after it was written", "restore it, or make it again")
    try:
        manifest = msgspec.convert({**fields, "self": own}, Manifest)
    except msgspec.ValidationError as error:
        raise Corrupt(f"{where}: {error}") from None
    if manifest.id != content_id(manifest.kind, manifest.files):
        raise Integrity(f"{where}: the id does not match the table of files", "restore it, or make it again")
    for entry in manifest.files:
        if not _plain(entry.path):
            raise Integrity(f"{where}: the path {entry.path!r} leads outside the artefact")
    if len({entry.path for entry in manifest.files}) < len(manifest.files):
        raise Integrity(f"{where}: two files have the same path")
    return manifest


def _plain(path: str) -> bool:
    """Whether a payload path stays inside the artefact."""
    parts = path.split("/")
    return bool(path) and "\0" not in path and "\\" not in path and all(part not in ("", ".", "..") for part in parts)
