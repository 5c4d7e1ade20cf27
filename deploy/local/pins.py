"""Renew the pins: `python -m deploy.local.pins`, or `make pins`.

Packages: you write the versions of direct packages into requirements*.txt. This command resolves
the packages that they bring along, writes those into constraints*.txt, and writes the hashes of
every file of every package. Images: it asks each image's registry for the digest of its tag.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

import click
import requests

ROOT = Path(__file__).parent.parent.parent
# Each file of direct packages has a file for what they bring along, on top of the files before.
LOCKS = {
    "requirements.txt": "constraints.txt",
    "requirements-deploy.txt": "constraints-deploy.txt",
    "requirements-dev.txt": "constraints-dev.txt",
}
ALONE = (  # these bring nothing along
    "requirements-fuzz.txt",
    "requirements-mutate.txt",
    "requirements-pins.txt",
)
WITH_IMAGES = ("cloudbuild.yaml", "deploy/cloud/test.yaml", "shared/adapters/build/builders.py")

OLDEST_PYTHON = "3.11"
OPTIONS = (
    *("--universal", f"--python-version={OLDEST_PYTHON}", "--generate-hashes", "--quiet"),
    *("--no-header", "--no-annotate", "--no-emit-index-url"),
)
HUB = "registry-1.docker.io"  # of images whose name has no registry
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)
TIMEOUT = 30  # seconds

_BLOCK = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)[^\\\n]*(?:\\\n[^\\\n]*)*\n", re.MULTILINE
)
# in Python a line can end between the tag and the digest
_IMAGE = re.compile(
    r"(?P<name>[\w.-]+(?::\d+)?(?:/[\w.-]+)*)(?P<tag>:[\w.-]+)?"
    r'(?P<end>"\s+")?@sha256:[0-9a-f]{64}'
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class PinsError(click.ClickException):
    """The pins cannot be renewed; the message names the package or image, and the reason."""


@click.command()
@click.option("--keep", is_flag=True, help="Keep all versions: renew hashes and digests only.")
@click.option("--no-images", is_flag=True, help="Do not ask the images' registries.")
def pins(keep: bool, no_images: bool) -> None:
    """Renew hashes, the packages that others bring along, and the digests of images.

    Needs uv (`pip install -r requirements-pins.txt`), a package index and the registries.
    """
    written = {**packages(ROOT, keep=keep), **({} if no_images else images(ROOT))}
    for name, text in written.items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            click.echo(f"  {name}: renewed")


def packages(root: Path, *, keep: bool) -> dict[str, str]:
    """Return the new text of each file of requirements and constraints, by its name."""
    written: dict[str, str] = {}
    direct, known = "", dict[str, str]()
    for name, lock in LOCKS.items():
        text = _read(root / name)
        own = _lines(text)
        direct += own
        kept = _lines(_read(root / lock)) if keep else ""
        blocks = _resolve(direct, "".join(_pin(block) for block in known.values()) + kept)
        written[name] = _with_hashes(text, blocks)
        brought = {key: block for key, block in blocks.items() if key not in known}
        for line in direct.splitlines():
            brought.pop(_key(line), None)
        written[lock] = _head(root / lock) + "".join(brought.values())
        known |= blocks
    for name in ALONE:
        text = _read(root / name)
        written[name] = _with_hashes(text, _resolve(_lines(text), ""))
    return written


def images(root: Path) -> dict[str, str]:
    """Return the new text of each file that names images, with today's digests of their tags."""
    digests: dict[str, str] = {}

    def renewed(found: re.Match[str]) -> str:
        image = found["name"] + (found["tag"] or "")
        if image not in digests:
            digests[image] = digest(image)
        return f"{image}{found['end'] or ''}@{digests[image]}"

    return {name: _IMAGE.sub(renewed, _read(root / name)) for name in WITH_IMAGES}


def digest(image: str) -> str:
    """Ask an image's registry for the digest that its tag has now.

    Follows the distribution specification: a registry may answer 401 with the address of a token.

    Raises:
        PinsError: the registry cannot be reached, or does not know the image.
    """
    host, name, tag = _parts(image)
    scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    url = f"{scheme}://{host}/v2/{name}/manifests/{tag}"
    headers = {"Accept": MANIFESTS}
    try:
        answer = requests.head(url, headers=headers, timeout=TIMEOUT)
        if answer.status_code == 401:
            headers["Authorization"] = f"Bearer {_token(answer.headers['WWW-Authenticate'])}"
            answer = requests.head(url, headers=headers, timeout=TIMEOUT)
        answer.raise_for_status()
        found = answer.headers["Docker-Content-Digest"]
    except (requests.RequestException, KeyError) as exc:
        raise PinsError(f"{image}: its registry gave no digest: {exc}") from exc
    if not _DIGEST.fullmatch(found):
        raise PinsError(f"{image}: its registry gave {found[:80]!r}, which is no digest")
    return found


def _token(challenge: str) -> str:
    """Fetch the token that a registry's 401 asks for."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    answer = requests.get(fields.pop("realm"), params=fields, timeout=TIMEOUT)
    answer.raise_for_status()
    given = answer.json()
    return str(given.get("token") or given["access_token"])


def _parts(image: str) -> tuple[str, str, str]:
    """Return an image's registry, name and tag; a name without a registry is Docker Hub's."""
    first, slash, rest = image.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    host, path = (first, rest) if is_host else (HUB, image)
    name, _, tag = path.partition(":")
    if host == HUB and "/" not in name:
        name = f"library/{name}"
    return host, name, tag or "latest"


def _resolve(direct: str, constraints: str) -> dict[str, str]:
    """Return the block of each package that `direct` needs on any platform, with all hashes."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise PinsError("uv is not installed: pip install -r requirements-pins.txt")
    with NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as given:
        given.write(constraints)
        given.flush()
        done = subprocess.run(
            [uv, "pip", "compile", "-", f"--constraint={given.name}", *OPTIONS],
            input=direct,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise PinsError(f"uv found no solution:\n{done.stderr.strip()}")
    return {_key(found[0]): found[0] for found in _BLOCK.finditer(done.stdout)}


def _with_hashes(text: str, blocks: dict[str, str]) -> str:
    """Return a file of direct packages: its own lines, with the hashes of `blocks`."""

    def hashed(found: re.Match[str]) -> str:
        pin = _pin(found[0]).strip()
        block = blocks.get(_key(pin))
        if block is None:
            raise PinsError(f"{pin} is not in uv's solution")
        return pin + " " + block[block.index("\\\n") :]

    return _BLOCK.sub(hashed, text)


def _lines(text: str) -> str:
    """Return the pins of a file without comments, options and hashes, a line each."""
    return "".join(_pin(found[0]) for found in _BLOCK.finditer(text))


def _pin(block: str) -> str:
    return block.partition("\\\n")[0].partition("#")[0].rstrip() + "\n"


def _key(line: str) -> str:
    """Return a package's normalised name and its version: two Pythons may need two versions."""
    found = _BLOCK.match(line if line.endswith("\n") else line + "\n")
    assert found is not None, line  # noqa: S101 - only lines that _BLOCK has found come here
    return re.sub(r"[-_.]+", "-", found["name"]).lower() + "==" + found["version"]


def _head(path: Path) -> str:
    return "".join(_comments(_read(path)))


def _comments(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            return
        yield line


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    pins()
