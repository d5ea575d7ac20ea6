"""One worker takes another version: loaded and warmed in a thread beside the one before, and only then swapped in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from mlops_cli.errors import MlopsError, Outside
from mlops_cli.runtime.app import App
from mlops_cli.runtime.follow import Version
from mlops_cli.runtime.scoring import Scorer
from mlops_cli.runtime.settings import Settings

Load = Callable[[Settings], tuple[Scorer, dict[str, str]]]
Told = Callable[[Version, MlopsError | None], None]
"""Told of every version that was taken, or why it was not."""


class Takeover:
    """Takes versions one after another; of several that are waiting only the last."""

    def __init__(self, app: App, settings: Settings, load: Load, told: Told) -> None:
        self._app, self._settings, self._load, self._told = app, settings, load, told
        self._wanted: Version | None = None
        self._task: asyncio.Task[None] | None = None

    def want(self, version: Version) -> None:
        """Take a version when it is loaded; called in the event loop."""
        self._wanted = version
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._all())

    async def _all(self) -> None:
        try:
            while self._wanted is not None:
                version, self._wanted = self._wanted, None
                self._told(version, await self._take(version))
        finally:
            self._task = None

    async def _take(self, version: Version) -> MlopsError | None:
        """Load, then swap. The version before answers meanwhile, and goes on if this one cannot be used: why not."""
        settings = replace(self._settings, directory=version.directory, version=version.version)
        if settings == self._settings:
            return None
        try:
            scorer, about = await asyncio.get_running_loop().run_in_executor(None, self._load, settings)
        except MlopsError as error:
            return error
        except Exception as error:
            return Outside(f"{type(error).__name__}: {error}")
        self._app.take(scorer, settings, about)
        self._settings = settings
        return None
