"""Unpack an untrusted archive: regular files and folders, all inside one folder.

tarfile's own `data` filter does more, but needs Python 3.11.4.
"""

import shutil
import tarfile
from pathlib import Path


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive into a folder.

    Raises:
        tarfile.TarError: it contains a link, a device, or a file outside of the folder.
    """
    root = folder.resolve()
    for member in archive:
        path = root / member.name
        if path.resolve() != root and root not in path.resolve().parents:
            raise tarfile.ExtractError(f"{member.name!r} is outside of the archive")
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif (content := archive.extractfile(member) if member.isfile() else None) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with content, path.open("wb") as out:
                shutil.copyfileobj(content, out)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise tarfile.ExtractError(f"{member.name!r} is neither a file nor a folder")
