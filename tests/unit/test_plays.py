"""Bad days to practise on: each is a condition that the functions and the stand-ins accept."""

import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from deploy.cloud.deployment import Deployment
from deploy.cloud.doctor.case import Case
from deploy.local.functions import local_settings
from deploy.local.image_store import ImageStore
from deploy.local.plays import CODE, FINISH, KEY_FILE, PLAYS, REVOKED
from deploy.local.ports import Ports
from deploy.local.project import API_KEY, LOCATION
from deploy.local.record import Record
from deploy.local.servers.vertex.__main__ import IMAGES
from deploy.local.servers.vertex.__main__ import main as vertex
from deploy.local.servers.vertex.played import part_of
from deploy.local.servers.wandb.__main__ import main as wandb
from deploy.local.stack import Stack
from shared.config.settings import PollSettings, StatusSettings, SubmitSettings, load

GUIDE = Path(__file__).parent.parent.parent / "docs/how-to/practise-bad-days.md"
COMMANDS: dict[str, click.Command] = {"vertex": vertex, "wandb": wandb}


@pytest.mark.parametrize("name", PLAYS)
def test_the_functions_and_stand_ins_accept_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting and option exists, and every image of its items."""
    play = PLAYS[name]
    play.prepare(tmp_path)
    for key, value in {**local_settings(Ports()), **play.settings_in(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    loaded: tuple[Any, ...] = (load(PollSettings), load(SubmitSettings), load(StatusSettings))
    revoked = loaded[0].wandb_api_key.get_secret_value() == REVOKED
    assert revoked == (name == "key-revoked")
    for server, words in play.options.items():
        COMMANDS[server].make_context(server, ["--port", "1", *words])
    store = ImageStore(IMAGES)
    jobs = [job for group in play.groups_in(tmp_path) for job in group]
    for job in jobs:
        assert job.made_of or job.image == "played" or store.find(f"local/{job.image}:latest")
        assert job.image != "played" or part_of({"WANDB_CONFIG": json.dumps(job.config)})
    assert 2 <= len(jobs) <= 3
    assert "{" not in play.end_in(tmp_path, "", {job.name: "" for job in jobs}).replace('{"location', "")


def test_the_code_of_the_slow_build_waits_for_a_file(tmp_path: Path) -> None:
    """The command that ends the day makes that file."""
    folder = tmp_path / "it's"
    folder.mkdir()
    play = PLAYS["slow-build"]
    play.prepare(folder)
    assert play.groups_in(folder)[0][0].made_of[:2] == ("code", str(folder / CODE))
    touch, file = shlex.split(play.end_in(folder, "http://vertex", {}))
    assert (touch, file) == ("touch", str(folder / FINISH))
    assert shlex.quote(file) in (folder / CODE / "Dockerfile.wandb").read_text()


def test_the_commands_that_end_a_day_are_whole(tmp_path: Path) -> None:
    """With this stack's addresses; the shell passes the JSON on as it is."""
    curl, _, data, url = shlex.split(PLAYS["no-capacity"].end_in(tmp_path, "http://v:1", {}))
    assert (curl, data) == ("curl", f'{{"location": "{LOCATION}", "strategy": "STANDARD"}}')
    assert url == "http://v:1/standin/shortage"
    assert PLAYS["full"].end_in(tmp_path, "", {"full-1": "ID=="}) == "vertex-launch cancel ID=="
    assert PLAYS["key-revoked"].end_in(tmp_path, "", {}).endswith(f" > {tmp_path}/{KEY_FILE}")
    assert PLAYS["key-revoked"].options["wandb"] == ("--api-key", API_KEY)


def test_commands_ask_wandb_with_the_functions_key(tmp_path: Path) -> None:
    """As in the cloud, where the key of the person who asks may still work."""
    play = PLAYS["key-revoked"]
    play.prepare(tmp_path)
    stack = Record.of(Stack(tmp_path, Ports(), play.settings_in(tmp_path))).environment
    case = Case(Deployment("local-project", LOCATION, "launch"), stack=stack)
    assert (case.secret_key(), stack["WANDB_API_KEY"]) == (REVOKED, API_KEY)
    assert Case(case.deployment, stack={"WANDB_API_KEY": "theirs"}).secret_key() == "theirs"


def test_the_guide_walks_through_each() -> None:
    """Under a heading with its name."""
    headings = [line[3:] for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert set(PLAYS) <= {heading.strip("`") for heading in headings}
