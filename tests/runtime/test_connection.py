"""Clients that make nothing of their connection lose it; the others do not."""

from types import SimpleNamespace

import pytest

from mlops_cli.runtime import connection


class Fake:
    """A connection as far as `Patience` looks at it."""

    def __init__(self, cycle=None):
        self.cycle = cycle
        self.closed = 0
        self.transport = SimpleNamespace(abort=self._abort)

    def _abort(self):
        self.closed += 1


def cycle(complete=False, more_body=False, started=False):
    return SimpleNamespace(response_complete=complete, more_body=more_body, response_started=started)


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        (None, connection.HEAD_SECONDS),  # a request that never comes, or comes a byte at a time
        (cycle(more_body=True), connection.STALLED_SECONDS),  # a body that does not
        (cycle(started=True), connection.STALLED_SECONDS),  # an answer that nobody takes
        (cycle(complete=True), connection.KEEP_ALIVE_SECONDS + connection.HEAD_SECONDS),  # the next request likewise
        (cycle(), None),  # we are computing: as long as it takes
    ],
)
def test_patience(state, seconds):
    patience, fake = connection.Patience(), Fake(state)
    for now in range(0, 1000, 5):
        if fake.closed:
            break
        patience.sweep({fake}, float(now))
    assert fake.closed == (seconds is not None)
    if seconds is not None:
        assert seconds < now - 5 <= seconds + 5


def test_a_connection_that_gets_on_is_left_alone():
    patience, fake = connection.Patience(), Fake()
    for now in range(0, 1000, 5):
        fake.cycle = cycle(complete=bool(now % 2), more_body=True)
        patience.sweep({fake}, float(now))
    assert not fake.closed
    patience.sweep(set(), 1000.0)
    assert not patience._since  # nothing is kept of connections that are gone
