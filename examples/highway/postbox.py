"""The owner's mail, as far as the story needs it: an SMTP server that keeps every message as a file.

usage: postbox.py DIR PORT      until SIGTERM
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Postbox:
    """Keeps messages as 1.eml, 2.eml, … in a directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """One message; the name is aiosmtpd's."""
        number = len(list(self._folder.glob("*.eml"))) + 1
        (self._folder / f"{number}.eml").write_bytes(bytes(envelope.original_content or b""))
        return "250 kept"


def main() -> None:
    """Take mail until told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    controller = Controller(Postbox(Path(sys.argv[1])), hostname="127.0.0.1", port=int(sys.argv[2]))
    controller.start()
    stop.wait()
    controller.stop()


if __name__ == "__main__":
    main()
