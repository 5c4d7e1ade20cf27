"""The command line: `python -m deploy COMMAND`. A command is imported when it is asked for."""

import sys
from importlib import import_module

import click

from deploy.local.environment import begin_again

COMMANDS = {
    "demo": "deploy.local.commands",
    "up": "deploy.local.commands",
    "chaos": "deploy.local.chaos.command",
    "migrate": "deploy.migrate",
    "plan": "deploy.plan",
    "bootstrap": "deploy.bootstrap",
    "provision": "deploy.provision.command",
    "smoke": "deploy.smoke",
    "doctor": "deploy.doctor.command",
    "agent": "deploy.agent",
    "dead-letters": "deploy.dead_letters.command",
    "destroy": "deploy.destroy",
}
LOCAL = ("demo", "up", "chaos")  # start the stack of this machine


class Commands(click.Group):
    """The commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Return one of them."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name.replace("-", "_"))
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run W&B Launch on Vertex AI: on a laptop (demo, up), and in a project of Google Cloud."""


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in LOCAL:
        begin_again()
    main(prog_name="python -m deploy")
