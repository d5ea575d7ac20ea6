"""The registry against a dict that does the same: any sequence of deeds gives the same answers."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from makers import entry, sealed

from mlops_cli.errors import Missing
from mlops_cli.store import collector, registry
from mlops_cli.store.artefact import Artefact

NAMES = st.sampled_from(["flights", "a.b-c_d", "0"])
ALIASES = st.sampled_from(["production", "staging"])
NUMBERS = st.integers(0, 4)


class RegistryModel(RuleBasedStateMachine):
    """Versions as lists of payloads with their evidence; aliases as lists of versions."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.root = Path(tempfile.mkdtemp(prefix="mlops-test-", dir=memory if memory.is_dir() else None))
        self.versions: dict[str, list[int]] = {}
        self.evidence: dict[tuple[str, int], list[str]] = {}
        self.aliases: dict[tuple[str, str], list[int]] = {}
        self.made: dict[tuple[str, int], Artefact] = {}
        self.open()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def artefact(self, kind: str, number: int) -> Artefact:
        if (kind, number) not in self.made:
            place = self.root / "made" / f"{kind}-{number}"
            self.made[kind, number] = sealed(place, kind, {"x": b"%d" % number})
        return self.made[kind, number]

    @rule()
    def open(self) -> None:
        self.store = registry.locate(str(self.root / "registry"), create=True)

    @rule(name=NAMES, number=NUMBERS, judged=st.none() | NUMBERS, force=st.booleans())
    def register(self, name: str, number: int, judged: int | None, force: bool) -> None:
        proof = [] if judged is None else [self.artefact("evaluation", judged)]
        got = self.store.register(name, entry(self.artefact("model", number), *proof), force=force)
        known = self.versions.setdefault(name, [])
        new = force or not known or known[-1] != number
        if new:
            known.append(number)
        assert got == (len(known), new)
        self._add(name, len(known), proof)

    @rule(name=NAMES, version=st.integers(1, 3), judged=NUMBERS)
    def add_evidence(self, name: str, version: int, judged: int) -> None:
        item = self.artefact("evaluation", judged)
        if version > len(self.versions.get(name, [])):
            with pytest.raises(Missing):
                self.store.add_evidence(name, version, item, "me")
            return
        assert self.store.add_evidence(name, version, item, "me") == self._add(name, version, [item])

    def _add(self, name: str, version: int, items: list[Artefact]) -> bool:
        known = self.evidence.setdefault((name, version), [])
        before = len(known)
        known += [item.manifest.self_ for item in items if item.manifest.self_ not in known]
        return len(known) > before

    @rule(name=NAMES, alias=ALIASES, version=st.integers(1, 3))
    def promote(self, name: str, alias: str, version: int) -> None:
        if version > len(self.versions.get(name, [])):
            return
        seen: list[Any] = []
        self.store.move(name, alias, lambda current: (version, "", {}) if seen.append(current) is None else None, "me")
        history = self.aliases.setdefault((name, alias), [])
        assert (seen[0].version if seen[0] else None) == (history[-1] if history else None)
        history.append(version)

    @rule()
    def collect(self) -> None:
        removed, marked = collector.registry(self.store, 2e9, dry_run=False)
        again = collector.registry(self.store, 4e9, dry_run=False)
        assert (removed, marked, again) == ([], [], ([], [])), "all that is there is named by a record"

    @invariant()
    def agrees(self) -> None:
        assert self.store.models() == sorted(self.versions)
        for name, known in self.versions.items():
            assert self.store.newest(name) == self.store.resolve(name, None) == len(known)
            assert self.store.damage(name) == []
            for number, payload in enumerate(known, start=1):
                assert self.store.object(self.store.version(name, number).object).read("x") == b"%d" % payload
                proofs = [item.object for item in self.store.evidence(name, number)]
                assert proofs == self.evidence.get((name, number), [])
        for (name, alias), history in self.aliases.items():
            assert [move.version for move in self.store.moves(name, alias)] == history
            assert self.store.resolve(name, alias) == history[-1]


TestRegistryModel = RegistryModel.TestCase
TestRegistryModel.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
