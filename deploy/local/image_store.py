"""The container images of this machine, as folders: those of this project, and those built here.

An image's `image.json` has its `entrypoint` and, for a built image, its `workdir` and `env`. Its
folder `venv` is the Python of its build.
"""

import json
import os
import secrets
import shutil
import sys
import sysconfig
import tempfile
import venv
from dataclasses import asdict, dataclass, field
from pathlib import Path

PREFIX = "local/"
VENV = "venv"
DIGEST = "digest.txt"


@dataclass
class Start:
    """The start command of an image."""

    entrypoint: list[str]
    workdir: str = ""  # below the image's root
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, image: Path) -> "Start":
        """Read an image's `image.json`."""
        return cls(**json.loads((image / "image.json").read_text(encoding="utf-8")))

    def write(self, image: Path) -> None:
        """Write an image's `image.json`."""
        (image / "image.json").write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True)
class ImageStore:
    """The image `local/NAME[:TAG]` is the folder NAME of `local`; others are in `built`."""

    local: Path
    built: Path | None = None

    def find(self, uri: str) -> Path:
        """Return the folder of an image.

        Raises:
            ValueError: the image is unknown, in the words of a failed pull.
        """
        before, _, digest = uri.partition("@sha256:")
        name, _, tag = before.partition(":")
        tag = digest or tag  # a digest wins, as in Docker
        short = name.removeprefix(PREFIX)
        if (
            name.startswith(PREFIX)
            and "/" not in short
            and (self.local / short / "image.json").is_file()
        ):
            return self.local / short
        if (
            self.built
            and ".." not in uri
            and (self.built / name / (tag or "latest") / "image.json").is_file()
        ):
            return self.built / name / (tag or "latest")
        there = ", ".join(
            sorted(PREFIX + path.parent.name for path in self.local.glob("*/image.json"))
        )
        raise ValueError(
            f"Failed to pull image {uri}: it does not exist here. "
            f"On this machine there are: {there}."
        )

    def digest(self, uri: str) -> str:
        """Return the digest of a stored image, `sha256:` and 64 digits.

        Raises:
            ValueError: the image is unknown.
        """
        return "sha256:" + (self.find(uri) / DIGEST).read_text(encoding="utf-8")

    def push(self, uri: str, image: Path) -> None:
        """Store an image under its name, whose tag never moves.

        Raises:
            FileExistsError: another image has this tag, in the words of a refused push.
        """
        name, _, tag = uri.partition(":")
        if self.built is None or ".." in uri:
            raise ValueError(f"{uri} cannot be pushed here")
        place = self.built / name / (tag or "latest")
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=place.parent, prefix=".pushed-"))
        shutil.copytree(image, fresh, symlinks=True, dirs_exist_ok=True)
        digest = secrets.token_hex(32)  # of a build, as timestamps make it in Docker
        (fresh / DIGEST).write_text(digest, encoding="utf-8")
        try:
            fresh.rename(place)  # refused if the folder exists and is not empty
        except OSError as exc:
            shutil.rmtree(fresh)
            raise FileExistsError(
                f"manifest invalid: cannot update tag {tag}. The repository has enabled tag "
                "immutability"
            ) from exc
        (place.parent / digest).symlink_to(place.name)


def give_python(image: Path) -> None:
    """Give an image its own Python, with this one's packages, such as pip and wandb."""
    if (image / VENV).exists():
        return
    venv.create(image / VENV, symlinks=True, with_pip=False)
    place = {"base": str(image / VENV), "platbase": str(image / VENV)}
    theirs = Path(sysconfig.get_path("purelib", vars=place))
    (theirs / "this-machine.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")


def search_path(image: Path) -> str:
    """Return PATH inside an image: its own Python if it has one, then this process's."""
    own = [str(image / VENV / "bin")] if (image / VENV).is_dir() else []
    return os.pathsep.join(
        [*own, str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    )
