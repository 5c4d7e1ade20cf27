"""The command line: `vertex-launch COMMAND`, or `python -m deploy COMMAND`. A command is imported when it is called."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from deploy.local.environment import begin_again

GROUPS = {
    "On a laptop": {
        "demo": "deploy.local.commands",
        "up": "deploy.local.commands",
    },
    "Before the first deployment": {
        "migrate": "deploy.operate.migrate",
        "plan": "deploy.operate.plan",
    },
    "Deploy": {
        "bootstrap": "deploy.cloud.bootstrap",
        "provision": "deploy.cloud.provision.command",
        "smoke": "deploy.cloud.smoke",
        "destroy": "deploy.cloud.destroy",
    },
    "Operate": {
        "doctor": "deploy.cloud.doctor.command",
        "agent": "deploy.operate.agent",
        "dead-letters": "deploy.operate.dead_letters.command",
    },
}
COMMANDS = {name: module for commands in GROUPS.values() for name, module in commands.items()}
EXIT_CODES = {
    0: "success",
    1: "failure: something is wrong, or was refused",
    2: "usage: an unknown command, option or value",
    3: "rejected: the launch was refused",
    4: "unknown: it could not be seen, or timed out",
}
LAPTOP = tuple(GROUPS["On a laptop"])  # start the stack of this machine


class Commands(click.Group):
    """The commands, grouped by who needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Return one of them."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each group, then the exit codes."""
        for title, names in GROUPS.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                rows.append((name, command.get_short_help_str(70) if command else ""))
            with formatter.section(title):
                formatter.write_dl(rows)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def _version() -> str:
    """Return the installed version; a checkout that was never set up has none."""
    try:
        return version("vertex-launch")
    except PackageNotFoundError:
        text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
        return text.partition('version = "')[2].partition('"')[0]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="vertex-launch")
def main() -> None:
    """Run W&B Launch queues on Vertex AI, without an agent.

    `vertex-launch COMMAND --help` explains a command.
    """


def run() -> None:
    """Start the command line; the console script `vertex-launch` calls this."""
    if sys.argv[1:] and sys.argv[1] in LAPTOP:
        begin_again()
    main(prog_name="vertex-launch")


if __name__ == "__main__":
    run()
