"""Run one build: fetch its source, run its steps as local processes, push its images."""

import os
import shlex
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from deploy.local.archives import unpack
from deploy.local.environment import mark
from deploy.local.image_store import ImageStore
from deploy.local.servers.build.dockerfile import Builder, BuildError

GIT, DOCKER = "gcr.io/cloud-builders/git", "gcr.io/cloud-builders/docker"


_DOCKER_CP = """#!/bin/sh
case "$1" in
create) case "$2" in
{images}*) echo "Unable to find image '$2'" >&2; exit 125;;
esac;;
cp) exec cp "${{2%%:*}}${{2#*:}}" "$3";;
*) echo "docker $1 cannot run on this machine, which has no Docker" >&2; exit 1;;
esac
"""
_OUTPUT_BYTES = 50_000  # of a step's output, which Cloud Build keeps


class CancelledError(Exception):
    """The build was cancelled, or its timeout is over."""


class Worker:
    """One build's workspace. `stop` ends its processes; `log` has all output.

    `secrets` are the contents of secrets, by the names of their versions; `env` are variables of
    the machine that runs the steps.
    """

    def __init__(
        self,
        message: Any,
        folder: Path,
        store: ImageStore,
        gcs: str,
        stop: threading.Event,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._build = message
        self._folder = folder
        self._store = store
        self._gcs = gcs
        self._stop = stop
        self._images: dict[str, Path] = {}
        self._secrets, self._env = secrets or {}, env or {}
        self.log = folder / "log.txt"
        self.deadline = time.monotonic() + message.timeout.ToTimedelta().total_seconds()

    def work(self) -> None:
        """Run the build.

        Raises:
            BuildError: the build failed; its log has the reason.
            CancelledError: the build was stopped.
        """
        workspace = self._folder / "workspace"
        workspace.mkdir(parents=True)
        try:
            self._fetch(workspace)
            for number, step in enumerate(self._build.steps):
                self.say(f"Step #{number}: {step.name} {' '.join(step.args)}")
                self._step(number, step, workspace)
            for image in self._build.images:
                if image not in self._images:
                    raise BuildError(f"failed to find image {image!r} after the steps")
                self.say(f"Pushing {image}")
                self._push(image)
        except BuildError as exc:
            self.say(f"ERROR: {exc}")
            raise
        finally:
            # the images stay: packages that pip installed contain their paths
            shutil.rmtree(workspace, ignore_errors=True)

    def _push(self, image: str) -> None:
        try:
            self._store.push(image, self._images[image])
        except FileExistsError as exc:
            raise BuildError(f"failed to push {image}: {exc}") from exc

    def say(self, line: str) -> None:
        """Append a line to the log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def _fetch(self, workspace: Path) -> None:
        source = self._build.source.storage_source
        if not source.bucket:
            return
        self.say(
            f"Fetching storage object: gs://{source.bucket}/{source.object_}#{source.generation}"
        )
        url = f"{self._gcs}/storage/v1/b/{source.bucket}/o/{quote(source.object_, safe='')}"
        wanted = {"alt": "media"} | (
            {"generation": str(source.generation)} if source.generation else {}
        )
        archive = self._folder / "source.tar.gz"
        answer = requests.get(url, params=wanted, timeout=30)
        if answer.status_code != 200:
            where = f"gs://{source.bucket}/{source.object_}"
            raise BuildError(f"the source {where} cannot be read: HTTP {answer.status_code}")
        archive.write_bytes(answer.content)
        try:
            with tarfile.open(archive, "r:gz") as opened:
                unpack(opened, workspace)
        except (tarfile.TarError, OSError) as exc:
            raise BuildError(f"the source cannot be unpacked: {exc}") from exc

    def _step(self, number: int, step: Any, workspace: Path) -> None:
        arguments = [one.replace("$$", "$") for one in step.args]
        folder, image = workspace / step.dir_, step.name.partition("@")[0]
        env = dict(one.replace("$$", "$").split("=", 1) for one in step.env)
        if image == DOCKER and not step.entrypoint:
            self._docker(arguments, folder, buildkit=env.get("DOCKER_BUILDKIT") == "1")
            return
        program = step.entrypoint or {GIT: "git"}.get(image, "")
        if image not in (GIT, DOCKER) or program not in ("git", "bash"):
            raise BuildError(
                f"build step {number} {step.name!r} cannot run on this machine, which has no Docker"
            )
        secrets = {name: self._secret(name) for name in step.secret_env}
        output = self._folder / f"output-{number}"
        output.mkdir()
        path = f"{self._commands()}{os.pathsep}{os.environ['PATH']}"
        machine = {"PATH": path, **self._env, "BUILDER_OUTPUT": str(output)}
        code = self.run([program, *arguments], folder, machine | env | secrets)
        if (written := output / "output").is_file():
            outputs = self._build.results.build_step_outputs
            outputs.extend(b"" for _ in range(len(outputs), number))
            outputs.append(written.read_bytes()[:_OUTPUT_BYTES])
        if code:
            raise BuildError(
                f"build step {number} {step.name!r} failed: "
                f"step exited with non-zero status: {code}"
            )

    def _secret(self, name: str) -> str:
        """Return the content of a secret, by the name of its variable."""
        named = {
            each.env: each.version_name for each in self._build.available_secrets.secret_manager
        }
        version = named[name]
        if version not in self._secrets:
            raise BuildError(
                f"failed to access secret version for secret {version}: rpc error: "
                "code = PermissionDenied desc = Permission 'secretmanager.versions.access' denied"
            )
        return self._secrets[version]

    def _commands(self) -> Path:
        """Return a folder with a `docker` that can copy a file of an image which was built here."""
        folder = self._folder / "bin"
        folder.mkdir(exist_ok=True)
        images = "".join(
            f"{shlex.quote(tag)}) echo {shlex.quote(str(root))};;\n"
            for tag, root in self._images.items()
        )
        (folder / "docker").write_text(_DOCKER_CP.format(images=images), encoding="utf-8")
        (folder / "docker").chmod(0o755)
        return folder

    def _docker(self, arguments: list[str], folder: Path, *, buildkit: bool) -> None:
        match arguments:
            case ["build", "--tag", tag, "--file", file, context]:
                root = self._folder / f"image-{len(self._images)}"
                root.mkdir()
                self._images[tag] = root
                if not (folder / file).is_file():
                    raise BuildError(
                        f"unable to evaluate symlinks in Dockerfile path: {file}: no such file"
                    )
                builder = Builder(
                    self._store, (folder / context).resolve(), root, self.run, self.say, buildkit
                )
                builder.build((folder / file).read_text(encoding="utf-8"))
            case _:
                raise BuildError(
                    f"docker {' '.join(arguments)} cannot run on this machine, which has no Docker"
                )

    def run(self, command: list[str], folder: Path, env: Mapping[str, str]) -> int:
        """Run a process until it ends or the build is stopped; return its exit code."""
        with self.log.open("ab") as log:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env={"HOME": str(self._folder), **mark(), **env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as exc:
                raise BuildError(f"{command[0]}: {exc.strerror}") from exc
            try:
                while process.poll() is None:
                    if self._stop.wait(0.02) or time.monotonic() > self.deadline:
                        raise CancelledError
                return process.returncode
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
