"""Messages to people through apprise: mail, chat and webhooks, none of whose secrets is ever shown or kept."""

from __future__ import annotations

import io
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from mlops_cli.errors import InputUnusable, Missing, MissingExtra, Usage

TRIES = 2
_PAUSE_SECONDS = 1.0
_SHORTEST = 3  # characters of a part of an address that is taken for a secret


class Sent(msgspec.Struct, frozen=True):
    """How a message went to one address, which is called by its kind alone: `mailto`, `json`, `json#2`."""

    to: str
    sent: bool
    reason: str = ""


@dataclass(frozen=True)
class Address:
    """Where a message goes. `url` is a secret: it is not in `repr`, and its parts are taken out of every reason."""

    name: str
    url: str = field(repr=False)
    app: Any = field(repr=False)


@dataclass(frozen=True)
class Message:
    """What is told: `cleared` when nothing in it is a finding any more."""

    subject: str
    body: str
    cleared: bool = False


def addresses(given: Sequence[str]) -> list[Address]:
    """The addresses of `--notify`: apprise URLs, or `@FILE` with one a line (empty lines and `#` are left out).

    Errors: MissingExtra without apprise, Missing and InputUnusable for the file, Usage for what is no such URL.
    """
    if not given:
        return []
    try:
        import apprise
    except ImportError:
        raise MissingExtra.of("apprise", "notify") from None
    found: list[Address] = []
    seen: Counter[str] = Counter()
    for url in [url for one in given for url in _urls(one)]:
        kind = re.match(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://", url)
        asset = apprise.AppriseAsset(app_id="mlops", app_desc="mlops watch", app_url="", secure_logging=True)
        app = apprise.Apprise(asset=asset)
        with _captured(logging.ERROR):
            known = kind is not None and app.add(url)
        if kind is None or not known:
            what = f"{kind[1]}://…" if kind else "what --notify was given"
            raise Usage(f"{what} is no address that apprise knows", "such as mailto://…, json://… or @FILE with one")
        seen[kind[1]] += 1
        number = seen[kind[1]]
        found.append(Address(kind[1] if number == 1 else f"{kind[1]}#{number}", url, app))
    return found


def send(address: Address, message: Message) -> Sent:
    """Send a message, and once more when that fails; never raises, whatever the other side does."""
    import apprise

    kind = apprise.NotifyType.SUCCESS if message.cleared else apprise.NotifyType.FAILURE
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        with _captured(logging.WARNING) as caught:
            try:
                sent = address.app.notify(
                    message.body, message.subject, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
                )
            except Exception as error:  # of a plugin for one of a hundred services
                sent, reason = False, type(error).__name__
            reason = caught.getvalue() or reason
        if sent:
            return Sent(address.name, True)
    return Sent(address.name, False, scrubbed(reason, address.url))


def scrubbed(text: str, url: str) -> str:
    """A reason in one line without any part of the address but its kind."""
    rest = url.partition("://")[2]
    parts = {part for whole in (rest, unquote(rest)) for part in re.split(r"[:/@?&=#,;\s]+", whole)}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST:
            text = text.replace(part, "***")
    return " ".join(text.split())[:300] or "it gave no reason"


def _captured(level: int) -> AbstractContextManager[io.StringIO]:
    """What apprise says meanwhile, instead of on standard error: it may repeat addresses."""
    import apprise

    captured: Callable[..., AbstractContextManager[io.StringIO]] = apprise.LogCapture
    return captured(level=level, fmt="%(message)s")


def _urls(given: str) -> list[str]:
    """The URLs that one `--notify` means."""
    if not given.startswith("@"):
        return [given]
    path = Path(given[1:])
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise Missing(f"{path}: no such file", "--notify @FILE reads an address from it") from None
    except (OSError, UnicodeDecodeError):
        raise InputUnusable(f"{path}: it cannot be read as text", "--notify @FILE reads an address from it") from None
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputUnusable(f"{path}: it has no address", "write one a line, such as mailto://… or json://…")
    return found
