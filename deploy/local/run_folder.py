"""The folder of one run, `.demo` or `.stack`: one run at a time holds it, and may empty it."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

LOCK = "lock"
ROOM = 300_000_000  # bytes: logs, copies of images, W&B's caches
_OLDER = "gcs.log"  # marks a folder of an older version, which has no lock


class HeldError(click.ClickException):
    """Another run holds the folder."""

    def __init__(self, folder: Path, pid: int) -> None:
        owner = f"process {pid or 'of another user'} already runs a stack in {folder}"
        super().__init__(f"{owner}: end it first, or choose another --folder")
        self.pid = pid


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder until the context or this process ends.

    Raises:
        HeldError: another run holds it.
        click.ClickException: it cannot be written, or no run created it.
    """
    lock = folder / LOCK
    try:
        ours = (
            not folder.exists()
            or not any(folder.iterdir())
            or lock.exists()
            or (folder / _OLDER).exists()
        )
        if not ours:
            raise click.ClickException(
                f"{folder} is not empty, and no earlier run created it: choose another --folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as exc:
        raise click.ClickException(
            f"{folder} cannot be written ({exc.strerror}): choose another --folder"
        ) from exc
    try:
        for seconds in (0.0, 0.1):  # a reader (`holder`) locks it for a moment
            time.sleep(seconds)
            if _lock(descriptor):
                break
        else:
            raise HeldError(folder, _pid(descriptor))
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def holder(folder: Path) -> int:
    """Return the process that holds a folder; 0 if none does."""
    with suppress(OSError):
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
        try:
            return 0 if _lock(descriptor, fcntl.LOCK_SH) else _pid(descriptor)
        finally:
            os.close(descriptor)
    return 0


def _lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(descriptor: int) -> int:
    written = os.pread(descriptor, 20, 0).decode()
    return int(written) if written.isdecimal() else 0


def clear(folder: Path) -> None:
    """Delete the files of an earlier run, except the lock."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink()


def lack_of_room(folder: Path, wanted: int = ROOM) -> str:
    """Return a sentence if the disk has less free space than `wanted` bytes; else empty."""
    free = shutil.disk_usage(folder).free
    if free >= wanted:
        return ""
    return f"the disk of {folder} is full: {free >> 20} MB are free, {wanted >> 20} MB are needed"
