"""Builds of images: the generated steps, with the real git and the real docker client, against hostile code."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.build.images import steps
from shared.core.building import GitCredential, Recipe
from shared.core.errors import Reject
from shared.core.jobsource import read_job
from shared.runspec.model import Overrides
from shared.runspec.recipe import placed, recipe_of
from shared.runspec.render import render
from shared.runspec.source import resolve
from tests.fakes import FakeJobs
from tests.security.docker_daemon import Daemon, docker_daemon
from tests.security.git_hosts import GitHosts, commit, git, git_hosts, job_of
from tests.unit.specs import NAMES, SITE, draft_of, put, run_spec

PATH = "team/cats/train:v1"
DESTINATION = "us-docker.pkg.dev/p/launch/jobs"
HOME, OTHER = "git.example.test", "other.example.test"
LOOKS_ALIKE = "git.example.test.other.example.test"
SECRET = "builder:ghp_s3cret"
CREDENTIALS = (GitCredential(HOME, "projects/p/secrets/git/versions/latest"),)
DOCKER_LOGIN = "ya29.of-the-build"

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[GitHosts]:
    """Serve three hosts; the first lets nobody in without the login."""
    with git_hosts(tmp_path / "hosts", HOME, OTHER, LOOKS_ALIKE) as made:
        made.logins = {HOME: SECRET}
        yield made


@dataclass
class Machine:
    """Where Cloud Build's steps run: a workspace, and a home with the login of the build's own account."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=lambda: {CREDENTIALS[0].secret: SECRET})
    docker: str = ""  # a daemon's address
    log: str = ""

    def __post_init__(self) -> None:
        (self.folder / "workspace").mkdir(parents=True)
        (self.folder / "home" / ".docker").mkdir(parents=True)
        login = base64.b64encode(f"oauth2accesstoken:{DOCKER_LOGIN}".encode()).decode()
        config = {"auths": {"us-docker.pkg.dev": {"auth": login}}}
        (self.folder / "home" / ".docker" / "config.json").write_text(json.dumps(config))

    @property
    def code(self) -> Path:
        """Return the folder of the code."""
        return self.folder / "workspace" / "code"

    def run(self, recipe: Recipe, credentials: Sequence[GitCredential] = CREDENTIALS) -> str:
        """Run the steps one after another; return the one that fails (fetch, check, docker), or `done`."""
        build = steps(recipe, credentials)
        named = {
            one["env"]: one["version_name"] for one in build.get("available_secrets", {}).get("secret_manager", ())
        }
        for step in build["steps"]:
            program = step.get("entrypoint", "docker")
            if program == "docker" and not self.docker:
                continue
            env = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), **self.env}
            env |= {name: self.secrets[named[name]] for name in step.get("secret_env", ())}
            env |= {"DOCKER_HOST": self.docker, "DOCKER_BUILDKIT": "0"}
            arguments = [one.replace("$$", "$") for one in step["args"]]
            done = subprocess.run(
                [program, *arguments], cwd=self.folder / "workspace", env=env, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
            )  # fmt: skip
            self.log += done.stdout
            if done.returncode:
                return {"docker": "docker"}.get(program) or (
                    "fetch" if step["name"].partition("@")[0].endswith("/git") else "check"
                )
        return "done"

    def holds(self, text: str) -> list[Path]:
        """Return the files of the workspace that contain a text."""
        files = [one for one in (self.folder / "workspace").rglob("*") if one.is_file() and not one.is_symlink()]
        return [one for one in files if text.encode() in one.read_bytes()]


@pytest.fixture
def machine(tmp_path: Path, hosts: GitHosts) -> Machine:
    """Return a machine whose git reaches these hosts."""
    return Machine(tmp_path / "machine", hosts.env)


def recipe(content: bytes, **overrides: str) -> Recipe:
    """Return the recipe of a job of a repository."""
    made = recipe_of(read_job(PATH, content), Overrides.parse(overrides), "python:3.12", DESTINATION, CREDENTIALS)
    found = placed(made, "gs://contexts")
    assert found
    return found


def repository(
    hosts: GitHosts, folder: Path, files: Mapping[str, str] | None = None, links: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Serve a repository; return its address and its commit."""
    made = commit(folder, files or {"train.py": "print('it ran')\n"}, links)
    return hosts.repository(HOME, "team/code.git", folder), made


HOSTILE = {
    "GIT_SSH_COMMAND": "touch {0}",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "url.ext::sh -c touch% {0}.insteadOf",
    "GIT_CONFIG_VALUE_0": "https://git.example.test/",
    "GIT_CONFIG_PARAMETERS": "'core.fsmonitor=touch {0}'",
    "GIT_CONFIG_GLOBAL": "{0}.config",
    "GIT_ASKPASS": "touch {0}",
    "GIT_PROXY_COMMAND": "touch {0}",
    "GIT_EXTERNAL_DIFF": "touch {0}",
    "GIT_EXEC_PATH": "{0}",
    "GIT_TEMPLATE_DIR": "{0}",
    "GIT_ALLOW_PROTOCOL": "ext:file:https",
    "GIT_SSL_NO_VERIFY": "1",
    "DOCKER_CONFIG": "{0}",
    "BASH_ENV": "{0}",
    "LD_PRELOAD": "{0}",
}


@pytest.mark.parametrize("how", ["the queue's env", "a template variable", "an override", "a macro"])
def test_no_variable_of_an_author_reaches_a_step(how: str, tmp_path: Path) -> None:
    """The steps are those of a launch without any variable; only the operator chooses their environment."""
    job = read_job(PATH, job_of(f"https://{HOME}/team/code.git", "c0ffee"))
    site = replace(SITE, base_image="python:3.12", destination=DESTINATION)

    def launched(spec: dict[str, Any]) -> Recipe:
        launch, found = resolve(draft_of(spec | {"docker": None, "job": PATH}), FakeJobs({PATH: job}))
        made = render(launch, site, NAMES, found).recipe
        assert made
        return made

    plain = launched(run_spec())
    env = [{"name": name, "value": value.format(tmp_path / "pwned")} for name, value in HOSTILE.items()]
    spec = put(
        run_spec(),
        ("resource_args", "gcp-vertex", "spec", "worker_pool_specs", 0, "container_spec", "env"),
        [{"name": one["name"], "value": "${run_name}"} for one in env] if how == "a macro" else env,
    )
    if how == "an override":
        spec["overrides"] = {"run_config": dict(HOSTILE), "args": ["--config=core.fsmonitor=x"]}
    if how == "a template variable":
        spec["template_variables"] = dict(HOSTILE)
    hostile = launched(spec)
    assert hostile == plain
    for each in steps(hostile)["steps"]:
        assert set(each) <= {"name", "entrypoint", "args", "env"}
        assert each.get("env", ["DOCKER_BUILDKIT=1"]) == ["DOCKER_BUILDKIT=1"]


def test_a_repository_is_fetched_with_the_operators_login(hosts: GitHosts, machine: Machine, tmp_path: Path) -> None:
    """The login is in no file that later steps see, and in no output."""
    remote, made = repository(hosts, tmp_path / "code")
    assert machine.run(recipe(job_of(remote, made))) == "done", machine.log
    assert (machine.code / "train.py").read_text() == "print('it ran')\n"
    assert hosts.received(HOME) == {SECRET}
    for part in SECRET.split(":"):
        assert not machine.holds(part)
        assert part not in machine.log


@pytest.mark.parametrize("secret", ["ghp_t0ken", "ghp_t0ken\n", "user:pass:word"])
def test_a_secret_is_a_token_or_a_login(hosts: GitHosts, machine: Machine, tmp_path: Path, secret: str) -> None:
    """A token needs the name of some user; a final newline does not count."""
    login = secret.strip() if ":" in secret else f"git:{secret.strip()}"
    hosts.logins[HOME], machine.secrets = login, {CREDENTIALS[0].secret: secret}
    remote, made = repository(hosts, tmp_path / "code")
    assert machine.run(recipe(job_of(remote, made))) == "done", machine.log
    assert hosts.received(HOME) == {login}


def test_without_a_credential_a_private_repository_is_refused(
    hosts: GitHosts, machine: Machine, tmp_path: Path
) -> None:
    """The log has git's own reason; git asks nobody for a password."""
    remote, made = repository(hosts, tmp_path / "code")
    assert machine.run(recipe(job_of(remote, made)), ()) == "fetch"
    assert "could not read Username" in machine.log


@pytest.mark.parametrize("host", [OTHER, LOOKS_ALIKE])
def test_another_host_gets_no_login(hosts: GitHosts, machine: Machine, tmp_path: Path, host: str) -> None:
    """Of the remote, of a submodule, or of a redirection; even if it asks for one."""
    repository(hosts, tmp_path / "inner")
    theirs = commit(tmp_path / "theirs", {"x.py": ""})
    hosts.repository(host, "x.git", tmp_path / "theirs")
    hosts.logins[host] = "anything:else"
    assert machine.run(recipe(job_of(f"https://{host}/x.git", theirs))) == "fetch"
    (tmp_path / "outer").mkdir()
    modules = f'[submodule "x"]\n\tpath = x\n\turl = https://{host}/x.git\n'
    outer = _with_submodule(tmp_path / "outer", modules, theirs)
    address = hosts.repository(HOME, "outer.git", tmp_path / "outer")
    shutil.rmtree(machine.code, ignore_errors=True)
    assert machine.run(recipe(job_of(address, outer))) == "fetch"
    hosts.redirects[HOME, "/away.git"] = f"https://{host}/x.git"
    shutil.rmtree(machine.code, ignore_errors=True)
    assert machine.run(recipe(job_of(f"https://{HOME}/away.git", outer))) == "fetch"
    assert {name for name, _, _ in hosts.requests} == {HOME, host}
    assert hosts.received(host) == set()
    assert SECRET not in machine.log


def _with_submodule(folder: Path, modules: str, inner: str) -> str:
    """Commit a .gitmodules of any content, and a link to a commit at its path."""
    commit(folder, {".gitmodules": modules})
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{inner},x")
    git(folder, "commit", "--quiet", "-m", "with a submodule")
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {0}",
        "ext::touch {0}",
        "file://{1}",
        "{1}",
        "../../../../../../../../..{1}",
        "http://git.example.test/team/code.git",
        "ssh://-oProxyCommand=touch%20{0}/x",
        "-oProxyCommand=touch {0}:x",
        "git@other.example.test:x.git",
        "-u./touch {0}",
        "--upload-pack=touch {0}",
        "git://other.example.test/x",
        "fd::17",
        "https://git.example.test/team/code.git\\n\\thelper = !touch {0}",
    ],
)
def test_a_hostile_submodule_runs_nothing(hosts: GitHosts, machine: Machine, tmp_path: Path, url: str) -> None:
    """The build fails, no command of the author runs, and no file of the machine is fetched."""
    _, inner = repository(hosts, tmp_path / "inner")
    pwned = tmp_path / "pwned"
    written = url.format(pwned, tmp_path / "inner")
    (tmp_path / "outer").mkdir()
    modules = f'[submodule "x"]\n\tpath = x\n\turl = "{written}"\n\tupdate = !touch {pwned}\n'
    outer = _with_submodule(tmp_path / "outer", modules, inner)
    address = hosts.repository(HOME, "outer.git", tmp_path / "outer")
    assert machine.run(recipe(job_of(address, outer))) == "fetch", machine.log
    assert not pwned.exists()
    assert not (machine.code / "x" / "train.py").exists()


def test_a_submodule_of_the_same_host_may_be_named_by_ssh(hosts: GitHosts, machine: Machine, tmp_path: Path) -> None:
    """It is fetched by https, with the operator's login, as is a remote that is named so."""
    _, inner = repository(hosts, tmp_path / "inner")
    (tmp_path / "outer").mkdir()
    modules = f'[submodule "x"]\n\tpath = x\n\turl = git@{HOME}:team/code.git\n'
    outer = _with_submodule(tmp_path / "outer", modules, inner)
    hosts.repository(HOME, "outer.git", tmp_path / "outer")
    assert machine.run(recipe(job_of(f"ssh://git@{HOME}/outer.git", outer))) == "done", machine.log
    assert (machine.code / "x" / "train.py").exists()


def test_nothing_that_the_machine_or_the_code_configures_runs(
    hosts: GitHosts, machine: Machine, tmp_path: Path
) -> None:
    """A home's configuration is not read; attributes name filters that do not exist; no hook runs."""
    pwned = tmp_path / "pwned"
    (machine.folder / "home" / ".gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = touch {pwned}\n\tclean = touch {pwned}\n\tprocess = touch {pwned}\n'
        f"[core]\n\tfsmonitor = touch {pwned}\n\thooksPath = hooks\n\tsshCommand = touch {pwned}\n"
        f'[credential]\n\thelper = !touch {pwned}\n[url "ext::touch {pwned} "]\n\tinsteadOf = https://\n'
    )
    code = {
        "hooks/post-checkout": f"#!/bin/sh\ntouch {pwned}\n",
        ".gitattributes": "* filter=evil diff=evil merge=evil\n",
        "train.py": "x = 1\n",
    }
    remote, made = repository(hosts, tmp_path / "code", code)
    (machine.folder / "workspace" / "diff.patch").write_text(
        "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
    )
    assert machine.run(recipe(job_of(remote, made))) == "done", machine.log
    assert (machine.code / "train.py").read_text() == "x = 2\n"
    assert not pwned.exists()


REMOTES = [
    "ext::sh -c touch% /tmp/pwned",
    "ext::https://git.example.test/x.git",
    "file:///etc",
    "/etc",
    "http://git.example.test/x.git",
    "git://git.example.test/x.git",
    "-oProxyCommand=touch /tmp/pwned",
    "--upload-pack=touch",
    "ssh://-oProxyCommand=touch/x",
    "ssh://git@-oProxyCommand=touch/x",
    "-oProxyCommand=x@git.example.test:x",
    "git@-oProxyCommand=x:x",
    "https://-x/y",
    "https://git.example.test/x.git\nhttps://other.example.test",
    "https://git.example.test/x\t.git",
    "https://git.example.test\\@other.example.test/x.git",
    "https://git.example.test\\.other.example.test/x.git",
    "https://user@git.example.test/x.git",
    "https://@git.example.test/x.git",
    "https://git.example.test%0ahost=other/x.git",
    "https://git.example.test%2f@other.example.test/x",
    "https:///x",
    "https://git.example.test",
    "HTTPS::https://git.example.test/x",
]


@pytest.mark.parametrize("remote", REMOTES)
def test_a_hostile_remote_is_refused(remote: str) -> None:
    """Before any build."""
    with pytest.raises(Reject, match="git remote"):
        recipe(job_of(remote, "c0ffee"))


@pytest.mark.parametrize("made", ["--upload-pack=x", "-f", "\n-f", "c0ffee\n", "a b", "a\x00b", "a\\b", " "])
def test_a_hostile_commit_is_refused(made: str) -> None:
    """Before any build; spaces around it do not count."""
    content = job_of(f"https://{HOME}/x.git", made)
    if made.strip() == "c0ffee":
        assert recipe(content).commit == "c0ffee"
        return
    with pytest.raises(Reject, match="commit"):
        recipe(content)


@pytest.mark.parametrize("remote", ["git@other.example.test:x.git", "ssh://git@other.example.test:22/x.git"])
def test_a_remote_by_ssh_is_refused_without_a_credential_of_its_host(remote: str) -> None:
    """A build has no ssh key; the message names the setting."""
    with pytest.raises(Reject, match=r"no ssh key.*'other\.example\.test' in builder\.git_credentials"):
        recipe(job_of(remote, "c0ffee"))


def patch(name: str, line: str, mode: str = "100644") -> str:
    """Return a patch that adds a file or a link."""
    end = "\\ No newline at end of file\n" if mode == "120000" else ""
    head = f"diff --git a/{name} b/{name}\nnew file mode {mode}\n"
    return f"{head}--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+{line}\n{end}"


@pytest.mark.parametrize("name", ["../outside", ".git/config", ".git/hooks/post-checkout", "away/file"])
def test_a_patch_stays_in_the_code(hosts: GitHosts, machine: Machine, tmp_path: Path, name: str) -> None:
    """It writes no other file of the workspace, no configuration of git, and through no link."""
    remote, made = repository(hosts, tmp_path / "code", links={"away": "../.."})
    (machine.folder / "workspace" / "diff.patch").write_text(patch(name, "x"))
    assert machine.run(recipe(job_of(remote, made))) == "fetch"
    assert not list(machine.folder.rglob("outside")) + list(machine.folder.glob("file"))


LEADING_OUT: dict[str, tuple[dict[str, str], dict[str, str]]] = {  # links, paths of the job
    "context to the root": ({"ctx": "/"}, {"build_context": "ctx"}),
    "context to the home": ({"ctx": "../../home"}, {"build_context": "ctx"}),
    "context to the workspace": ({"ctx": ".."}, {"build_context": "ctx"}),
    "context through a folder": ({"sub/a": "../..", "ctx": "sub/a"}, {"build_context": "ctx"}),
    "context below a link": ({"sub/a": "../.."}, {"build_context": "sub/a/code"}),
    "Dockerfile": ({"D": "../../home/.docker/config.json"}, {}),
    "Dockerfile that is missing": ({"D": "/nowhere"}, {}),
    ".dockerignore": ({".dockerignore": "../../home/.docker/config.json"}, {}),
    "ignore file of the Dockerfile": ({"D.dockerignore": "../../home/.docker/config.json"}, {}),
    "a file": ({"leak": "../../home/.docker/config.json"}, {}),
    "a folder in a folder": ({"sub/deep/leak": "../../../.."}, {}),
}  # fmt: skip


def unpacked(folder: Path, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    """Write code, as the step before the check leaves it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, target in links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)


def fetched(**paths: str) -> Recipe:
    """Return the recipe of code that is there already."""
    return replace(recipe(job_of(f"https://{HOME}/x.git", "c0ffee", **paths)), remote="")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("what", LEADING_OUT)
def test_code_that_leads_out_is_refused(tmp_path: Path, what: str, own: bool) -> None:
    """The author reads which link; docker does not run, with the code's own Dockerfile or with ours."""
    links, paths = LEADING_OUT[what]
    machine = Machine(tmp_path / "machine")
    unpacked(machine.code, {"train.py": "", **({} if "D" in links else {"D": "FROM scratch\n"})}, links)
    with docker_daemon() as daemon:
        machine.docker = daemon.url
        assert machine.run(fetched(**({"dockerfile": "D", **paths} if own else {}))) == "check"
    assert not daemon.contexts
    assert "The code of this job cannot be built: code/" in machine.log
    assert "outside of the code. Remove it." in machine.log
    assert DOCKER_LOGIN not in machine.log


def test_a_patch_cannot_lead_out_either(hosts: GitHosts, machine: Machine, tmp_path: Path) -> None:
    """The check comes after it, and after the checkout."""
    remote, made = repository(hosts, tmp_path / "code", {"D": "FROM scratch\n"})
    (machine.folder / "workspace" / "diff.patch").write_text(patch("leak", "../../home", "120000"))
    assert machine.run(recipe(job_of(remote, made, dockerfile="D"))) == "check"
    assert "code/leak is a link to" in machine.log


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"dockerfile": "None"}, "it has no file code/None, the Dockerfile"),
        ({"dockerfile": "D", "build_context": "none"}, "it has no folder code/none, the build context"),
        ({"dockerfile": "sub"}, "it has no file code/sub, the Dockerfile"),
    ],
)
def test_what_the_code_lacks_is_named(tmp_path: Path, paths: dict[str, str], message: str) -> None:
    """As the author wrote it."""
    machine = Machine(tmp_path / "machine")
    unpacked(machine.code, {"D": "FROM scratch\n", "sub/x": ""}, {})
    assert machine.run(fetched(**paths)) == "check"
    assert message in machine.log


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Serve a daemon for the real docker client."""
    if shutil.which("docker") is None:
        pytest.skip("docker's client is not installed")
    with docker_daemon() as made:
        yield made


def test_a_link_within_the_code_is_allowed(tmp_path: Path, daemon: Daemon) -> None:
    """Of a file, a folder, the context, the Dockerfile; docker's real client sends exactly the code."""
    machine = Machine(tmp_path / "machine", docker=daemon.url)
    links = {"ctx": "sub", "sub/E": "D", "sub/data": "../data", "sub/loop": "loop", "sub/gone": "missing"}
    unpacked(machine.code, {"sub/D": "FROM scratch\n", "sub/x.py": "x", "data/y": "y"}, links)
    assert machine.run(fetched(dockerfile="E", build_context="ctx")) == "done", machine.log
    sent = {"D": "FROM scratch\n", "x.py": "x", "E": "-> D", "data": "-> ../data", "loop": "-> loop"}
    assert daemon.contexts == [{name: text.encode() for name, text in {**sent, "gone": "-> missing"}.items()}]


def test_dockers_real_client_sends_the_code_and_no_login(
    hosts: GitHosts, machine: Machine, tmp_path: Path, daemon: Daemon
) -> None:
    """Our own Dockerfile's context is the workspace, which contains neither git's login nor docker's."""
    remote, made = repository(hosts, tmp_path / "code")
    asked = recipe(job_of(remote, made))
    (machine.folder / "workspace" / "Dockerfile.wandb").write_text(asked.text)
    machine.docker = daemon.url
    assert machine.run(asked) == "done", machine.log
    [context] = daemon.contexts
    assert {"Dockerfile.wandb", "code/train.py"} <= set(context)
    assert {name.partition("/")[0] for name in context} == {"Dockerfile.wandb", "code", "context"}
    sent = b"".join(context.values())
    assert not [word for word in (*SECRET.split(":"), DOCKER_LOGIN) if word.encode() in sent]


def test_without_the_check_dockers_real_client_would_send_the_home(tmp_path: Path, daemon: Daemon) -> None:
    """What this protects from is no theory: a context that is a link is followed."""
    machine = Machine(tmp_path / "machine")
    unpacked(machine.code, {"D": "FROM scratch\n"}, {"ctx": str(machine.folder / "home")})
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": daemon.url, "DOCKER_BUILDKIT": "0"}
    build = ["docker", "build", "--file", "code/D", "code/ctx"]
    subprocess.run(build, cwd=machine.folder / "workspace", env=env, check=True, capture_output=True, timeout=60)
    assert ".docker/config.json" in daemon.contexts[0]
