"""The words of wrong settings: builders, images of a policy, certificates, and the names of settings."""

import re
from pathlib import Path

import pytest
from pydantic import AliasChoices, ValidationError

from shared.config import certificates as module
from shared.config.building import Builder, Building, Registry, image_name
from shared.config.certificates import certificates
from shared.config.launch_config import LaunchConfig
from shared.config.names import aliases, or_file
from shared.config.policy import AdmissionPolicy

GOOD = "us-docker.pkg.dev/p/r/jobs"
FORM = "write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE, without a tag"
KNOWN = "Write one of cloud-build, kaniko, docker, or noop"


def test_the_names_of_a_setting() -> None:
    """A variable, then its places in the launch-config, under names that no variable can have."""
    alias = or_file("LAUNCH_X", "a.b", "c")
    assert alias == AliasChoices("LAUNCH_X", "launch-config.yaml:a.b", "launch-config.yaml:c")
    assert aliases(alias) == ["LAUNCH_X", "launch-config.yaml:a.b", "launch-config.yaml:c"]
    assert (aliases("LAUNCH_X"), aliases(None)) == (["LAUNCH_X"], [])


@pytest.mark.parametrize(
    ("kind", "destination", "store", "problem"),
    [
        ("cloud-build", GOOD, "", ""),
        ("kaniko", GOOD, "gs://own-bucket", ""),
        ("docker", GOOD, "gs://own-bucket/x/y", ""),
        ("noop", "anything", "odd", ""),
        ("", "anything", "odd", ""),
        ("docker", "", "odd", ""),
        ("buildah", GOOD, "", f"builder.type is 'buildah'. {KNOWN}"),
        (" Docker ", GOOD, "", f"builder.type is ' Docker '. Did you mean docker? {KNOWN}"),
        ("nop", GOOD, "", f"builder.type is 'nop'. Did you mean noop? {KNOWN}"),
        ("z" * 300, GOOD, "", f"builder.type is '{'z' * 100}…{'z' * 100}'. {KNOWN}"),
        ("cloud-build", "", "", "builder.type is 'cloud-build', and its images have no destination. Write "
         "builder.destination: REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE, or type: noop"),
        ("kaniko", "x", "", f"builder.type is 'kaniko', and the destination of its images is 'x': {FORM}"),
        ("kaniko", GOOD, "s3://b",
         "builder.build-context-store is 's3://b'. Write gs://BUCKET/FOLDER, or leave it out"),
        ("kaniko", GOOD, f"gs://own-bucket{'x' * 300}", f"builder.build-context-store is 'gs://own-bucket{'x' * 85}…"
         f"{'x' * 100}'. Write gs://BUCKET/FOLDER, or leave it out"),
    ],
)  # fmt: skip
def test_a_builder_builds_or_says_why_not(kind: str, destination: str, store: str, problem: str) -> None:
    """Without a builder there is neither a destination nor a problem."""
    builds = destination == GOOD and kind in ("cloud-build", "kaniko", "docker") and not problem
    assert Building.read(kind, destination, store) == Building(GOOD if builds else "", problem)


@pytest.mark.parametrize(
    ("written", "image"),
    [
        (Registry(), ""),
        (Registry(uri=GOOD, repository="x"), GOOD),
        (Registry(repository="r"), "us-docker.pkg.dev/p/r/"),
        (Registry.model_validate({"image-name": "i"}), "us-docker.pkg.dev/p//i"),
        (Registry.model_validate({"image_name": "i", "repository": "r", "region": "eu", "project": "q"}),
         "eu-docker.pkg.dev/q/r/i"),
        (Registry(type="gcr", repository="r"), "us-docker.pkg.dev/p/r/"),
        (Registry(type="ecr", repository="r"), "ecr r"),
        (Registry(type="ecr"), ""),
    ],
)  # fmt: skip
def test_the_name_of_images_from_a_registry(written: Registry, image: str) -> None:
    """The region and the project of the deployment are the default."""
    assert written.image("us", "p") == image


def test_a_builder_of_a_file_has_the_deployments_registry() -> None:
    """The given region and project, else those of the file's environment."""
    parts = {"builder": {"type": "kaniko", "uri": ""}, "registry": {"repository": "r", "image-name": "i"},
             "environment": {"region": "eu", "project": "q"}}  # fmt: skip
    config = LaunchConfig.model_validate(parts)
    assert config.building() == Building("eu-docker.pkg.dev/q/r/i")
    assert config.building("us", "p") == Building("us-docker.pkg.dev/p/r/i")
    assert config.unusable() == ()
    other = LaunchConfig.model_validate({"builder": "buildah", "environment": "aws"})
    assert other.unusable() == (
        "environment.type is 'aws', not gcp, so its region and its project are ignored. "
        "Write type: gcp, with the region and the project of the jobs",
        f"builder.type is 'buildah'. {KNOWN}",
    )


def test_a_builder_is_read_from_any_spelling() -> None:
    """`uri` is an older name of `destination`."""
    assert Builder.model_validate({"uri": f"https://{GOOD}/"}).destination == GOOD
    assert Builder.model_validate({"uri": "x", "destination": GOOD}).destination == GOOD
    assert Builder.model_validate("kaniko").type == "kaniko"
    assert [image_name(each) for each in (" HTTP://x/y// ", "https://x", "x")] == ["x/y", "x", "x"]


@pytest.mark.parametrize(
    ("credentials", "result"),
    [
        ({"GitHub.com": "projects/p/secrets/s"}, [("github.com", "projects/p/secrets/s/versions/latest")]),
        ({"g.test:8443": "projects/p/secrets/s/versions/3"}, [("g.test:8443", "projects/p/secrets/s/versions/3")]),
        ({"me:hunter2@g.test": "x"}, "names the host an address with a login: write a name such as github.com"),
        ({"https://g.test": "x"}, "names the host 'https://g.test': write a name such as github.com"),
        ({"h/" * 100: "x"}, f"names the host '{'h/' * 25}…{'h/' * 25}': write a name such as github.com"),
        ({"g.test": "hunter2"},
         "names no secret for g.test: write projects/PROJECT/secrets/SECRET, never its content"),
    ],
    ids=range(6),
)  # fmt: skip
def test_the_credentials_of_git_hosts(credentials: dict[str, str], result: list[tuple[str, str]] | str) -> None:
    """A secret without a version is its latest; neither a login nor a secret's content is shown."""
    if isinstance(result, str):
        with pytest.raises(ValidationError, match=re.escape(f"Value error, {result} [type=")) as refused:
            Builder.model_validate({"git_credentials": credentials})
        assert "hunter2" not in refused.value.errors()[0]["msg"]
    else:
        read = Builder.model_validate({"git_credentials": credentials}).git_credentials
        assert [(each.host, each.secret) for each in read] == result


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("python", "is 'python', which names no registry; that of Docker Hub is docker.io: write the registry first"),
        ("gcr.io/" + "A" * 300, f"is 'gcr.io/{'A' * 93}…{'A' * 100}', which is not the name of an image: write the "),
    ],
)
def test_an_image_of_a_policy_begins_with_its_registry(prefix: str, problem: str) -> None:
    """A long one is shortened in its middle."""
    with pytest.raises(ValidationError, match=re.escape(f"Value error, {problem}")):
        AdmissionPolicy(images=(prefix,))
    assert AdmissionPolicy(images=("gcr.io/p",)).images == ("gcr.io/p",)


def test_a_file_without_a_certificate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path starts at the source's root; the message names both paths and the fix."""
    assert certificates("") == ""
    assert module.ROOT.joinpath("shared").is_dir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "ca.pem").write_text("no certificate")
    problem = f"is 'ca.pem', but {tmp_path}/ca.pem is not a PEM file of certificates (-----BEGIN CERTIFICATE-----). "
    with pytest.raises(ValueError, match=re.escape(problem)):
        certificates("ca.pem")
    problem = f"is 'x.pem', but {tmp_path}/x.pem cannot be read: No such file or directory. Put the file there, or name"
    with pytest.raises(ValueError, match=re.escape(problem)):
        certificates("x.pem")
