"""A disk of its own whose power can be cut: ext4 in a file, shut down by the ioctl that xfstests uses."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SHUTDOWN = 0x8004587D
LOST = 2  # whatever was not synced is gone
METADATA_KEPT = 1  # the journal is flushed, data is not: files of no length

Acknowledge = Callable[[str], None]


class Disk:
    """A mounted ext4 that can lose its power."""

    def __init__(self, folder: Path) -> None:
        self.image, self.mount = folder / "disk.img", folder / "disk"
        self.mount.mkdir()
        with self.image.open("wb") as file:
            file.truncate(32 << 20)
        _do("mkfs.ext4", "-q", "-F", str(self.image))
        self.on()

    def on(self) -> None:
        """Mount it; its journal is replayed."""
        _do("mount", "-o", "loop", str(self.image), str(self.mount))

    def off(self) -> None:
        """Unmount it, and wait until nobody has it mounted.

        A container that starts or an image that is unpacked meanwhile has a mount namespace with a copy of every mount,
        for a moment. The file system would live on in it, shut down, and mounting it again would bring that back.
        """
        _do("umount", str(self.mount))
        for _ in range(1_200):
            if not subprocess.run(["losetup", "-j", str(self.image)], capture_output=True, check=True).stdout:
                return
            time.sleep(0.05)
        raise AssertionError("another mount namespace has held the disk for a minute")

    def cut(self, how: int) -> None:
        """Cut the power: from now on nothing reaches the disk."""
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", how))
        finally:
            os.close(fd)


@contextmanager
def disk_in(folder: Path) -> Iterator[Disk]:
    """A disk; the test is skipped where none can be made."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk whose power is then cut")
    try:
        made = Disk(folder)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no loop-mounted ext4 here: {error}")
    try:
        yield made
    finally:
        subprocess.run(["umount", str(made.mount)], check=False, capture_output=True)


def work_until_cut(disk: Disk, how: int, work: Callable[[Acknowledge], None], count: int) -> list[str]:
    """Run `work` in a forked process, cut the power when it has acknowledged `count` things, and mount the disk again.
    Returns all that was acknowledged before the cut."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            work(lambda line: os.write(writer, f"{line}\n".encode()) and None)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(writer)
    seen = b""
    while seen.count(b"\n") < count:
        part = os.read(reader, 4096)
        if not part:
            raise AssertionError("the work ended before it had acknowledged enough")
        seen += part
    try:
        disk.cut(how)
    except OSError as error:
        pytest.skip(f"this ext4 cannot be shut down: {error}")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
    disk.off()
    disk.on()
    return seen.decode().splitlines()


def _do(*words: str) -> None:
    """A command that must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise subprocess.SubprocessError(done.stderr.strip())
