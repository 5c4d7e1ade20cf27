"""The pages about moving and renaming a deployment: their commands in their order; what is left, and what is not."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from deploy.__main__ import main
from tests.cloud.state import StoredObject
from tests.deployment.deployed import KEY, OWNER, Deployed, deployed

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: these commands run it"),
]
GUIDES = Path("docs/how-to")
OPEN = ("p1-launch-ledger", "open/k" + "a" * 26)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Make one deployment for all tests."""
    with deployed(tmp_path_factory.mktemp("leaving")) as made:
        yield made


@pytest.fixture
def project(made: Deployed) -> Deployed:
    """Give it, well."""
    made.heal()
    return made


def run(project: Deployed, *words: str, **environ: str) -> Result:
    """Run one of our commands here, as the owner."""
    config = [] if words[0] == "agent" else [f"--config={project.folder / 'launch-config.yaml'}"]
    with patch.dict(os.environ, {**project.environ(OWNER), **environ}, clear=True):
        return CliRunner().invoke(main, [*words, "--project=p1", *config], catch_exceptions=False)


def parts(project: Deployed, name: str) -> set[str]:
    """Return the resources of a deployment, without its roles, which Google keeps for a week."""
    ours = re.compile(rf"(?:/|p1-){name}[-_/@](?!2|eu)|/repositories/{name}$")
    return {full for full in project.cloud.resources if ours.search(full) and "/roles/" not in full}


@pytest.mark.parametrize(
    ("page", "options", "name"),
    [
        ("rename-a-deployment", ["--name=launch-2", "--staging-bucket=gs://p1-launch-staging"], "launch-2"),
        ("move-to-another-region", ["--name=launch-eu"], "launch-eu"),
    ],
)
def test_the_page_leaves_the_new_deployment_and_nothing_of_the_old(
    project: Deployed, page: str, options: list[str], name: str
) -> None:
    """Also with a launch that is still open: the page's command shows it, and waits for its end."""
    region = "us-central1" if page.startswith("rename") else "europe-west4"
    before = run(project, "bootstrap", *options, f"--region={region}", WANDB_API_KEY=KEY)
    assert before.exit_code == 0, before.output
    new = parts(project, name)
    assert min(len(new), len(parts(project, "launch"))) > 8
    text = (
        (GUIDES / f"{page}.md").read_text(encoding="utf-8").replace("$PROJECT", "p1").replace("$REGION", "us-central1")
    )
    stop, listing = (block.strip() for block in re.findall(r"```\n(.*?)```", text, re.DOTALL))
    assert stop.startswith("vertex-launch agent stop ")
    stopped = run(project, *stop.split()[1:3], "--region=us-central1")
    assert (stopped.exit_code, stopped.output.startswith("Stopped:")) == (0, True), stopped.output
    project.cloud.state.objects[OPEN] = StoredObject(b"{}", 1)
    assert OPEN[1] in project.run(listing).stdout
    del project.cloud.state.objects[OPEN]
    assert "matched no objects" in project.run(listing).stderr
    done = run(project, "destroy", "--region=us-central1", "--bootstrapped", "--yes")
    assert done.exit_code == 0, done.output
    left = {full for full in parts(project, "launch") if "staging" not in full}
    assert left == set()
    assert parts(project, name) == new
    assert any("p1-launch-staging" in full for full in project.cloud.resources), "jobs' output stays"
