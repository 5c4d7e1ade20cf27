"""Archives from outside are unpacked below one folder, on every Python from 3.11.0 on."""

import io
import tarfile
from pathlib import Path

import pytest

from deploy.local.archives import unpack


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> tarfile.TarFile:
    """Return an archive, opened for reading."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    held.seek(0)
    return tarfile.open(fileobj=held)


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    """Return the head of one member."""
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname = kind, mode, link
    return made


def test_files_folders_and_what_may_be_run(tmp_path: Path) -> None:
    """A folder need not be listed before its files; other bits of the mode are not kept."""
    with packed((member("a/run.sh", mode=0o4755), b"x"), (member("b", tarfile.DIRTYPE), b"")) as archive:
        unpack(archive, tmp_path)
    assert (tmp_path / "a" / "run.sh").read_bytes() == b"x"
    assert (tmp_path / "a" / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "b").is_dir()


@pytest.mark.parametrize(
    "bad",
    [
        member("../out"),
        member("/etc/out"),
        member("a/../../out"),
        member("link", tarfile.SYMTYPE, link="/etc"),
        member("link", tarfile.LNKTYPE, link="../out"),
        member("pipe", tarfile.FIFOTYPE),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda bad: f"{bad.name} {bad.type!r}",
)
def test_anything_else_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    """As an error of the archive, and nothing is written outside of the folder."""
    inside = tmp_path / "inside"
    inside.mkdir()
    with packed((bad, b"")) as archive, pytest.raises(tarfile.TarError, match=r"out|link|pipe|device"):
        unpack(archive, inside)
    assert list(tmp_path.iterdir()) == [inside]
