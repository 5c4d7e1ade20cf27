"""Start a code job in its container: fetch the code, install its requirements, run its command.

The functions never run this program: its text goes into the container's command, `python3 -c TEXT
SETTINGS COMMAND…`. The base image may contain only Python 3.7, so the program needs no package; a
repository needs git. SETTINGS is JSON: the job's artifact, the code's artifact or repository, and
whether to install requirements. W&B's key is in the environment.
"""

import http.client
import json
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from shared.runspec.container.install import install
from shared.runspec.container.output import Problem, hidden, login, run, say
from shared.runspec.container.patch import apply_patch

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
HOPS = 5  # redirections
PAGE = 200  # files
LONGEST = 2000  # characters of a warning

# one reading only: no login, and no character before the path that readers quote or cut at
ADDRESS = re.compile(
    r"(https?)://((?:[\w.-]|[^\x00-\x7f\s])+|\[[0-9a-f:.]+\])(?::([0-9]+))?(?:[/?]\S*)?", re.I
)
PORTS = {"http": 80, "https": 443}
WARN = """mutation updateRunQueueItemWarning(
  $runQueueItemId: ID!, $message: String!, $stage: String!
) {
  updateRunQueueItemWarning(
    input: {runQueueItemId: $runQueueItemId, message: $message, stage: $stage}
  ) { success }
}"""


def main() -> None:
    """Run the steps; on an error, print the reason and exit."""
    settings, command = json.loads(sys.argv[1]), sys.argv[2:]
    root = Path(tempfile.mkdtemp(prefix="job-"))
    job, code = root / "job", root / "code"
    try:
        warnings = []
        download(settings["job"], job)
        if settings.get("code"):
            download(settings["code"], code)
        else:
            clone(settings["remote"], settings["commit"], code)
            if (job / "diff.patch").is_file():
                warnings.append(apply_patch(job / "diff.patch", code))
        place = code / settings.get("working_dir", "")
        folder = command[-1].rpartition("/")[0]  # of the script
        if os.path.isfile(os.path.join(str(place), folder, "Dockerfile.wandb")):  # noqa: PTH113, PTH118
            warnings.append("Dockerfile.wandb is not used: this deployment builds no images.")
        if settings.get("install"):
            warnings.append(install(place, job / "requirements.frozen.txt"))
        warn(" ".join(filter(None, warnings)))
        become(command, place)
    except Problem as exc:
        reason = str(exc)
    except Exception as exc:  # noqa: BLE001 - its text could quote an address or an argument
        reason = type(exc).__name__ + (f": {exc.strerror}" if isinstance(exc, OSError) else "")
    sys.exit(hidden(f"the job {settings['job']} cannot be started: {reason}"))


def download(artifact: str, folder: Path) -> None:
    """Fetch the files of an artifact, named entity/project/collection:version."""
    entity, project, name = artifact.split("/")
    collection, _, alias = name.partition(":")
    where = {"entity": entity, "project": project, "collection": collection, "alias": alias}
    variables = {**where, "perPage": PAGE}
    folder.mkdir()
    more = True
    while more:
        answer = graphql(QUERY, variables)
        try:
            files = answer["data"]["project"]["artifactCollection"]["artifactMembership"]["files"]
        except (KeyError, TypeError):
            errors = answer.get("errors")
            raise Problem(f"W&B does not show the files of {artifact}: {errors}") from None
        for edge in files["edges"]:
            path = folder / edge["node"]["name"]
            if folder.resolve() not in path.resolve().parents:
                raise Problem(f"{artifact} contains a path outside its folder: {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fetched(edge["node"]["directUrl"]))
        more = files["pageInfo"]["hasNextPage"]
        variables["cursor"] = files["pageInfo"]["endCursor"]
    say(f"fetched {artifact}")


def warn(message: str) -> None:
    """Show a warning at the launch's item in W&B; the log has it anyway."""
    item = os.environ.get("WANDB_LAUNCH_TRACE_ID")
    if not item or not message or not is_first():
        return
    shown = hidden(message)[:LONGEST]
    try:
        answer = graphql(WARN, {"runQueueItemId": item, "message": shown, "stage": "run"})
        if answer.get("errors"):
            say("W&B did not take the warning for the queue item")
    except Problem as exc:
        say(f"W&B did not take the warning for the queue item: {exc}")


def is_first() -> bool:
    """Tell whether this is the first replica of the job, by Vertex AI's variable."""
    try:
        task = json.loads(os.environ.get("CLUSTER_SPEC", "{}")).get("task", {})
        return task.get("type", "workerpool0") == "workerpool0" and not task.get("index")
    except (ValueError, AttributeError):
        return True


def graphql(document: str, variables: dict) -> dict:  # type: ignore[type-arg] # Python 3.7
    """Return W&B's answer to a document."""
    body = json.dumps({"query": document, "variables": variables}).encode()
    return dict(json.loads(fetched("", body)))


def fetched(address: str, body: "bytes | None" = None) -> bytes:
    """Return the content of an address; an empty one is W&B's own for queries."""
    root = os.environ["WANDB_BASE_URL"].rstrip("/")
    base, prefix = root + "/graphql", urlsplit(root).path
    if re.match("/(?!/)", address) and not address.startswith(prefix + "/"):
        address = prefix + address  # of W&B's host: below W&B's path, as wandb's client reads it
    try:
        url = urljoin(base, address)
    except ValueError:
        raise Problem("W&B gives an address that is not a URL") from None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return followed(base, url, body)
        except (OSError, http.client.HTTPException) as exc:
            code = getattr(exc, "code", 500)
            if attempt == ATTEMPTS or (code < 500 and code != 429):
                # a signed address is a permission: show its host only
                answer = f"HTTP {code}" if hasattr(exc, "code") else type(exc).__name__
                raise Problem(f"{origin(url)[1]} does not return the file: {answer}") from None
            time.sleep(2**attempt)
    raise AssertionError("not reached")


def followed(base: str, url: str, body: "bytes | None") -> bytes:
    """Fetch an address and follow its redirections. W&B alone gets W&B's key.

    Once a redirection has led to another origin, no later request has the key.
    """
    trusted = True
    for _ in range(HOPS):
        trusted = trusted and origin(url) == origin(base)
        headers = {"Authorization": login()} if trusted else {}
        if body:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - origin() checks it
        try:
            with opener().open(request, timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as exc:
            target = exc.headers.get("Location")
            if body or not target or exc.code not in (301, 302, 303, 307, 308):
                raise
        try:
            url = urljoin(url, quote(target, safe="!#$%&'()*+,/:;=?@[]~\\"))
        except ValueError:
            raise Problem("a redirection leads to an address that is not a URL") from None
    raise Problem(f"{origin(url)[1]} redirects more than {HOPS} times")


def opener() -> urllib.request.OpenerDirector:
    """Return an opener for HTTP and HTTPS only, which follows no redirection by itself."""
    made = urllib.request.OpenerDirector()
    for name in ("Proxy", "HTTP", "HTTPS", "HTTPDefaultError"):
        made.add_handler(getattr(urllib.request, name + "Handler")())
    made.add_handler(urllib.request.HTTPErrorProcessor())
    return made


def origin(url: str) -> "tuple[str, str, int]":
    """Return scheme, host and port of an address."""
    found = ADDRESS.fullmatch(url)
    if not found:
        raise Problem("an address of a file is not plain http://HOST or https://HOST")
    scheme = found.group(1).lower()
    return scheme, found.group(2).lower(), int(found.group(3) or PORTS[scheme])


def clone(remote: str, commit: str, folder: Path) -> None:
    """Fetch a commit of a repository, with its submodules."""
    if not shutil.which("git"):
        raise Problem("the base image has no git, and the job's code is in a git repository")
    git = ("git", "-C", str(folder))
    made = ("git", "clone", "--quiet", "--no-checkout", "--", remote, str(folder))
    run("git clone", *made, folder=folder.parent)
    run("git checkout", *git, "checkout", "--quiet", commit, folder=folder)
    modules = ("submodule", "--quiet", "update", "--init", "--recursive")
    run("git submodule", *git, *modules, folder=folder)
    say(f"fetched the repository at {commit}")


def become(command: "list[str]", place: Path) -> None:
    """Replace this process by the command; its arguments may contain secrets."""
    os.chdir(str(place))
    program = Path(command[0].partition(" ")[0]).name
    say(f"starting {program}")
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell, on purpose
    except OSError as exc:
        raise Problem(f"its program {program} cannot be run: {exc.strerror}") from None


if __name__ == "__main__":
    main()
