"""Start a code job in its container: fetch the code, install its requirements, run its command.

The functions never run this program: its text goes into the container's command, `python3 -c TEXT
SETTINGS COMMAND…`. The base image may contain only Python 3.7, so the program needs no package; a
repository needs git. SETTINGS is JSON: the job's artifact, the code's artifact or repository, and
whether to install requirements. W&B's key is in the environment.
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

QUERY = """query GetArtifactMembershipFileUrls(
  $entity: String!, $project: String!, $collection: String!,
  $alias: String!, $cursor: String, $perPage: Int
) {
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
    """Run the steps; on an error, print the reason and exit."""
    settings, command = json.loads(sys.argv[1]), sys.argv[2:]
    root = Path(tempfile.mkdtemp(prefix="job-"))
    job, code = root / "job", root / "code"
    try:
        download(settings["job"], job)
        if settings.get("code"):
            download(settings["code"], code)
        else:
            clone(settings["remote"], settings["commit"], code)
            if (job / "diff.patch").is_file():
                run("git", "apply", str(job / "diff.patch"), folder=code)
        place = code / settings.get("working_dir", "")
        if settings.get("install"):
            install(place, job / "requirements.frozen.txt")
        become(command, place)
    except (OSError, KeyError, TypeError, ValueError, subprocess.CalledProcessError) as exc:
        sys.exit(f"the job {settings['job']} cannot be started: {type(exc).__name__}: {exc}")


def download(artifact: str, folder: Path) -> None:
    """Fetch the files of an artifact, named entity/project/collection:version."""
    entity, project, name = artifact.split("/")
    collection, _, alias = name.partition(":")
    variables = {
        "entity": entity,
        "project": project,
        "collection": collection,
        "alias": alias,
        "perPage": 500,
    }
    folder.mkdir()
    more = True
    while more:
        answer = graphql(variables)
        try:
            files = answer["data"]["project"]["artifactCollection"]["artifactMembership"]["files"]
        except (KeyError, TypeError):
            errors = answer.get("errors")
            raise ValueError(f"W&B does not show the files of {artifact}: {errors}") from None
        for edge in files["edges"]:
            path = folder / edge["node"]["name"]
            if folder.resolve() not in path.resolve().parents:
                raise ValueError(f"{artifact} contains a path outside its folder: {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fetched(edge["node"]["directUrl"]))
        more = files["pageInfo"]["hasNextPage"]
        variables["cursor"] = files["pageInfo"]["endCursor"]
    say(f"fetched {artifact}")


def graphql(variables: dict) -> dict:  # type: ignore[type-arg] # Python 3.7 has no dict[…]
    """Return W&B's answer to the query."""
    body = json.dumps({"query": QUERY, "variables": variables}).encode()
    return dict(json.loads(fetched("/graphql", body)))


def fetched(address: str, body: "bytes | None" = None) -> bytes:
    """Return the content of an address; only W&B itself receives W&B's key."""
    base = os.environ["WANDB_BASE_URL"]
    url = urljoin(base, address)
    headers = {"Content-Type": "application/json"} if body else {}
    if urlsplit(url).netloc == urlsplit(base).netloc:
        key = base64.b64encode(b"api:" + os.environ["WANDB_API_KEY"].encode()).decode()
        headers["Authorization"] = "Basic " + key
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(url, body, headers)  # noqa: S310 - of W&B, or signed
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return bytes(answer.read())
        except (urllib.error.URLError, OSError) as exc:
            code = getattr(exc, "code", 500)
            if attempt == ATTEMPTS or (code < 500 and code != 429):
                # a signed address is a permission: show its host only
                host = urlsplit(url).netloc
                raise ValueError(f"{host} does not return the file: {exc}") from None
            time.sleep(2**attempt)
    raise AssertionError("not reached")


def clone(remote: str, commit: str, folder: Path) -> None:
    """Fetch a commit of a repository, with its submodules."""
    if not shutil.which("git"):
        raise ValueError("the base image has no git, and the job's code is in a git repository")
    run("git", "clone", "--quiet", "--no-checkout", "--", remote, str(folder), folder=folder.parent)
    run("git", "checkout", "--quiet", commit, folder=folder)
    run("git", "submodule", "--quiet", "update", "--init", "--recursive", folder=folder)
    say(f"fetched {remote} at {commit}")


def install(place: Path, frozen: Path) -> None:
    """Install the code's requirements, or else those of the machine that created the job."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    os.environ.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")  # the container has no other user
    if (place / "requirements.txt").is_file():
        run(*pip, "-r", "requirements.txt", folder=place)
    elif (place / "pyproject.toml").is_file():
        run(*pip, ".", folder=place)
    elif frozen.is_file():
        run(*pip, "-r", str(frozen), folder=place)


def run(*command: str, folder: Path) -> None:
    """Run a command to its end; its output goes into the job's log."""
    subprocess.run(command, cwd=str(folder), check=True)


def become(command: "list[str]", place: Path) -> None:
    """Replace this process by the command."""
    os.chdir(str(place))
    if command[0].startswith("python") and not shutil.which(command[0]):
        say(f"{command[0]} does not exist here; {sys.executable} replaces it")
        command = [sys.executable, *command[1:]]
    say("starting " + " ".join(command))
    os.execvp(command[0], command)  # noqa: S606 - no shell, on purpose


def say(line: str) -> None:
    """Write a line into the job's log."""
    sys.stderr.write(f"vertex-launch: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
