"""Every package is pinned, what others bring along too, and exactly what is pinned is installed."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.deployment.installed import closure, requirements

ROOT = Path(__file__).parent.parent.parent
PINS = ("requirements.txt", "constraints.txt", "requirements-dev.txt", "constraints-dev.txt")


def text(*names: str) -> str:
    """Return the text of some files."""
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def pinned(*names: str) -> dict[str, str]:
    """Return the versions that some files pin, by package."""
    return {canonicalize_name(one.name): str(one.specifier) for one in requirements(text(*names))}


@pytest.mark.parametrize("name", PINS)
def test_every_line_names_one_version(name: str) -> None:
    """Lines of two files agree."""
    for package, specifier in pinned(name).items():
        assert re.fullmatch(r"==[\w.]+", specifier), package
        assert pinned(*PINS)[package] == specifier


def test_every_dependency_of_the_functions_is_pinned() -> None:
    """All of it, and nothing else: what Cloud Build installs today it installs next year."""
    assert closure(requirements(text("requirements.txt"))).keys() == pinned("constraints.txt").keys()


def test_every_package_of_a_laptop_is_pinned() -> None:
    """The tests' own packages and the stack's."""
    assert closure(requirements(text(*PINS[::2]))).keys() == pinned(*PINS).keys()


def test_the_pinned_versions_are_installed() -> None:
    """If this fails, run `make setup`: it installs what the files say."""
    wanted = pinned(*PINS)
    assert {package: f"=={version(package)}" for package in wanted} == wanted
