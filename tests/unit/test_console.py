"""The command line `vertex-launch`: its help, version, completion and exit codes."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploy.__main__ import COMMANDS, EXIT_CODES, main
from deploy.exit_codes import CouldNotSee

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
SLOW = ("google.api_core", "google.auth", "grpc", "vertexai", "pydantic", "requests", "starlette", "rich", "shared")
SHOW_IMPORTS = f"""
import sys
from deploy.__main__ import main
main(sys.argv[1:], prog_name="vertex-launch", standalone_mode=False)
slow = [name for name in {SLOW!r} if name in sys.modules]
own = [name for name in sys.modules if name.startswith(("deploy.cloud", "deploy.operate", "deploy.local.s"))]
print(slow + own)
"""


def run(*arguments: str, **environ: str) -> str:
    """Run the command line in a process of its own; return what it prints."""
    code = "from deploy.__main__ import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_no_command(argument: str) -> None:
    """Neither Google's SDK nor the stack: these take seconds."""
    command = [sys.executable, "-c", SHOW_IMPORTS, argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_one_line(name: str) -> None:
    """It stands whole in the list, 80 columns wide, and is the command's own short help."""
    lines = CliRunner().invoke(main, ["--help"], terminal_width=80).output.splitlines()
    summary = COMMANDS[name].summary
    assert [line for line in lines if re.fullmatch(rf"  {name} +{re.escape(summary)}", line)]
    command = main.get_command(click.Context(main), name)
    assert command
    assert command.name == name
    assert command.get_short_help_str(200) == summary
    assert f"[`{name}`](#{name}) | {summary} |" in PAGE


def test_an_unknown_command_is_a_usage_error() -> None:
    """With click's own sentence."""
    done = CliRunner().invoke(main, ["lunch"])
    assert (done.exit_code, "No such command 'lunch'" in done.output) == (2, True)


def test_the_version_is_the_projects() -> None:
    """Of this checkout, also before it is installed."""
    assert run("--version") == f"vertex-launch, version {PROJECT['project']['version']}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_page_says_how_to_complete(shell: str) -> None:
    """The command of the page prints the shell's own script."""
    assert f"_VERTEX_LAUNCH_COMPLETE={shell}_source vertex-launch" in PAGE
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    script = run(_VERTEX_LAUNCH_COMPLETE=f"{shell}_source")
    assert f"_VERTEX_LAUNCH_COMPLETE={shell}_complete" in script


def test_names_are_completed_without_importing_them() -> None:
    """Each with its one line; options are completed too."""
    answer = run(_VERTEX_LAUNCH_COMPLETE="zsh_complete", COMP_WORDS="vertex-launch d", COMP_CWORD="1")
    completed = [name for name in COMMANDS if name.startswith("d")]
    assert answer.splitlines()[1::3] == completed
    assert answer.splitlines()[2::3] == [COMMANDS[name].summary for name in completed]
    options = run(_VERTEX_LAUNCH_COMPLETE="zsh_complete", COMP_WORDS="vertex-launch --v", COMP_CWORD="1")
    assert options.splitlines()[1] == "--version"


def test_one_table_of_exit_codes() -> None:
    """`--help`, the page and the exceptions agree."""
    text = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    for code, meaning in EXIT_CODES.items():
        assert f"  {code}  {meaning}\n" in text
        assert f"| {code} | {meaning} |\n" in PAGE
    assert [click.ClickException.exit_code, click.UsageError.exit_code, CouldNotSee.exit_code] == [1, 2, 4]


def test_the_stack_needs_a_checkout(tmp_path: Path) -> None:
    """Installed elsewhere, `demo` and `up` say so in one line; every other command works."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from deploy.__main__ import run; run()"
    for command in ("demo", "up"):
        done = subprocess.run(
            [sys.executable, "-c", code, command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        assert line.startswith(f"Error: `{command}` runs the functions of a checkout, and {tmp_path.resolve()} is none")


def test_what_setup_installs_is_pinned_once() -> None:
    """The build backend has the pinned version. [tool.ruff] follows what makes the script, as setup.sh expects."""
    pins = [line.rstrip(" \\") for line in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()]
    [setuptools] = PROJECT["build-system"]["requires"]
    assert setuptools in pins
    head, _, tools = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\n[tool.ruff]\n")
    parsed = tomllib.loads(head)
    assert parsed.keys() == {"build-system", "project", "tool"}
    assert parsed["tool"].keys() == {"setuptools"}
    assert "setuptools" not in tools
