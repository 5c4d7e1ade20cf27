"""The container images of this machine, as folders: those that come with this project, and those that were built here.

An image's `image.json` says how it starts: `entrypoint`; and, for one that was built, `workdir` and `env`. A folder
`venv` in it is the Python that its build installed into.
"""

import json
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

PREFIX = "local/"
VENV = "venv"


@dataclass
class Start:
    """How an image starts."""

    entrypoint: list[str]
    workdir: str = ""  # below the image's root
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, image: Path) -> "Start":
        """Read what an image says."""
        return cls(**json.loads((image / "image.json").read_text(encoding="utf-8")))

    def write(self, image: Path) -> None:
        """Say it."""
        (image / "image.json").write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True)
class ImageStore:
    """`local` has an image `local/NAME[:TAG]` in its folder NAME; `built` has the others, by name and tag."""

    local: Path
    built: Path | None = None

    def find(self, uri: str) -> Path:
        """Return the folder of an image.

        Raises:
            ValueError: it is not here; in the words of a pull that fails.
        """
        name, _, tag = uri.partition("@")[0].partition(":")
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
            f"Failed to pull image {uri}: it does not exist here. On this machine there are: {there}."
        )

    def push(self, uri: str, image: Path) -> None:
        """Keep an image under its name, in the place of one that had it before."""
        name, _, tag = uri.partition(":")
        if self.built is None or ".." in uri:
            raise ValueError(f"{uri} cannot be pushed here")
        place = self.built / name / (tag or "latest")
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=place.parent, prefix=".pushed-"))
        shutil.copytree(image, fresh, symlinks=True, dirs_exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.rmtree(place)
        fresh.rename(place)


def search_path(image: Path) -> str:
    """Return PATH for what runs in an image: its own Python, or the one that runs this."""
    own = [str(image / VENV / "bin")] if (image / VENV).is_dir() else []
    return os.pathsep.join(
        [*own, str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    )
