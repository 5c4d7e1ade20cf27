"""What a code job's container runs first: fetch the code, install what it needs, become its entry point.

The functions never run this: its text goes into the container's command, `python3 -c TEXT WHAT ENTRY POINT…`. The base
image may hold nothing but Python 3.7, so it needs no package; a repository needs git. WHAT is JSON: the names of the
job's and, unless it is a repository, of the code's artifact, and how to go on. W&B's key is in the environment.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urljoin, urlsplit

QUERY = """query GetArtifactMembershipFileUrls($entity: String!, $project: String!, $collection: String!,
                                            $alias: String!, $cursor: String, $perPage: Int) {
  project(name: $project, entityName: $entity) {
    artifactCollection(name: $collection) {
      artifactMembership(aliasName: $alias) {
        files(after: $cursor, first: $perPage) {
          pageInfo { endCursor hasNextPage } edges { node { name directUrl sizeBytes md5 } }
        }
      }
    }
  }
}"""
ATTEMPTS = 5


def main() -> None:
    """Do all of it; where that cannot be done, say why and exit."""
    what, entry_point = json.loads(sys.argv[1]), sys.argv[2:]
    root = Path(tempfile.mkdtemp(prefix="job-"))
    job, code = root / "job", root / "code"
    try:
        download(what["job"], job)
        if what.get("code"):
            download(what["code"], code)
        else:
            clone(what["remote"], what["commit"], code)
            if (job / "diff.patch").is_file():
                run("git", "apply", str(job / "diff.patch"), folder=code)
        place = code / what.get("working_dir", "")
        if what.get("install"):
            install(place, job / "requirements.frozen.txt")
        become(entry_point, place)
    except (OSError, KeyError, TypeError, ValueError, subprocess.CalledProcessError) as exc:
        sys.exit(f"the job {what['job']} cannot be started: {type(exc).__name__}: {exc}")


def download(artifact: str, folder: Path) -> None:
    """Fetch the files of an artifact, named entity/project/collection:version."""
    entity, project, name = artifact.split("/")
    collection, _, alias = name.partition(":")
    asked = {
        "entity": entity,
        "project": project,
        "collection": collection,
        "alias": alias,
        "perPage": 500,
    }
    folder.mkdir()
    more = True
    while more:
        answer = graphql(asked)
        try:
            files = answer["data"]["project"]["artifactCollection"]["artifactMembership"]["files"]
        except (KeyError, TypeError):
            raise ValueError(
                f"W&B does not show the files of {artifact}: {answer.get('errors')}"
            ) from None
        for edge in files["edges"]:
            path = folder / edge["node"]["name"]
            if folder.resolve() not in path.resolve().parents:
                raise ValueError(f"{artifact} has a file outside of itself: {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fetched(edge["node"]["directUrl"]))
        more, asked["cursor"] = files["pageInfo"]["hasNextPage"], files["pageInfo"]["endCursor"]
    say(f"fetched {artifact}")


def graphql(variables: dict) -> dict:  # type: ignore[type-arg] # Python 3.7 has no dict[…]
    """Ask W&B."""
    body = json.dumps({"query": QUERY, "variables": variables}).encode()
    return dict(json.loads(fetched("/graphql", body)))


def fetched(address: str, body: "bytes | None" = None) -> bytes:
    """Return what is at an address; W&B's key is shown to W&B itself only."""
    base = os.environ["WANDB_BASE_URL"]
    url = urljoin(base, address)
    headers = {"Content-Type": "application/json"} if body else {}
    if urlsplit(url).netloc == urlsplit(base).netloc:
        key = base64.b64encode(b"api:" + os.environ["WANDB_API_KEY"].encode()).decode()
        headers["Authorization"] = "Basic " + key
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, body, headers), timeout=60
            ) as answer:
                return bytes(answer.read())
        except (urllib.error.URLError, OSError) as exc:
            code = getattr(exc, "code", 500)
            if attempt == ATTEMPTS or (code < 500 and code != 429):
                # a signed address is a permission: only its host is told
                raise ValueError(
                    f"nothing can be fetched from {urlsplit(url).netloc}: {exc}"
                ) from None
            time.sleep(2**attempt)
    raise AssertionError("not reached")


def clone(remote: str, commit: str, folder: Path) -> None:
    """Fetch a commit of a repository, with its submodules."""
    if not shutil.which("git"):
        raise ValueError("the base image has no git, which a job of a repository needs")
    run("git", "clone", "--quiet", "--no-checkout", "--", remote, str(folder), folder=folder.parent)
    run("git", "checkout", "--quiet", commit, folder=folder)
    run("git", "submodule", "--quiet", "update", "--init", "--recursive", folder=folder)
    say(f"fetched {remote} at {commit}")


def install(place: Path, frozen: Path) -> None:
    """Install what the code asks for; what was there when the job was made, where it does not say."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    os.environ.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")  # it is nobody's system
    if (place / "requirements.txt").is_file():
        run(*pip, "-r", "requirements.txt", folder=place)
    elif (place / "pyproject.toml").is_file():
        run(*pip, ".", folder=place)
    elif frozen.is_file():
        run(*pip, "-r", str(frozen), folder=place)


def run(*command: str, folder: Path) -> None:
    """Run a command to its end; what it prints is in the job's log."""
    subprocess.run(command, cwd=str(folder), check=True)


def become(command: "list[str]", place: Path) -> None:
    """Leave this process to the entry point."""
    os.chdir(str(place))
    if command[0].startswith("python") and not shutil.which(command[0]):
        say(f"there is no {command[0]} here, but {sys.executable}")
        command = [sys.executable, *command[1:]]
    say("starting " + " ".join(command))
    os.execvp(command[0], command)  # noqa: S606 - no shell, by intention


def say(what: str) -> None:
    """Write a line into the job's log."""
    sys.stderr.write(f"vertex-launch: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
