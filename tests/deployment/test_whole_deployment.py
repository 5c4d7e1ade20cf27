"""x."""
import shutil
from collections.abc import Iterator
import pytest
from tests.deployment.whole import Whole, whole
import time
import re


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with whole(tmp_path_factory.mktemp("whole")) as made:
        yield made

def test_all(project):
    from tests.deployment.whole import KEY
    t=time.time()
    done = project.run("python -m deploy bootstrap --project=p1 --region=us-central1", WANDB_API_KEY=KEY)
    print(done.returncode, done.stdout[-1500:], done.stderr[-2000:], time.time()-t); t=time.time()
    from tests.unit.specs import PAGE_DEFAULT, put
    project.wandb.make_queue("team", "vertex", "gcp-vertex", PAGE_DEFAULT)
    b = project.build()
    print(time.time()-t)
    for k, v in b.outputs.items(): print("==",k, v[-800:])
    print(b.failed)
    print(project.enforcement.denied)
    for r in project.platform.containers.revisions: print(project.platform.containers.log(r)[-1500:])
    print(project.platform.problems)
    print(sorted(project.enforcement.used))
