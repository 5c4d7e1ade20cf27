"""The folder of one run, `.demo` or `.stack`: one run at a time holds it, and may empty it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

LOCK = "lock"
ROOM = 300_000_000  # bytes: logs, copies of images, W&B's caches
_OLDER = "gcs.log"  # marks a folder of an older version, which has no lock


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder until the context or this process ends.

    Raises:
        click.ClickException: another run holds it, it cannot be written, or no run created it.
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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "of another user"
            raise click.ClickException(
                f"process {holder} already runs a stack in {folder}: end it first, "
                "or choose another --folder"
            ) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


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
