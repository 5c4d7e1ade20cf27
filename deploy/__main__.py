"""The command line: `vertex-launch COMMAND`, or `python -m deploy COMMAND`.

Names and one-line helps stand here, so `--help` and completion import no command: Google's SDK
takes seconds.
"""

import sys
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from deploy.exit_codes import EXIT_CODES
from deploy.local.environment import ROOT, begin_again

__all__ = ["COMMANDS", "EXIT_CODES", "GROUPS", "main", "run"]


class Listed(NamedTuple):
    """One command: the module that defines it, and its one-line help."""

    module: str
    summary: str


GROUPS = {
    "On a laptop": {
        "demo": Listed(
            "deploy.local.commands", "Run nine jobs on this machine, from queue item to W&B run."
        ),
        "up": Listed("deploy.local.up", "Keep the stack running for your own `wandb launch`."),
    },
    "Before the first deployment": {
        "migrate": Listed(
            "deploy.operate.migrate",
            "Explain an agent's configuration, and show the new file.",
        ),
        "plan": Listed(
            "deploy.operate.plan", "Show the outcome of the items that wait in W&B's queues."
        ),
    },
    "Deploy": {
        "bootstrap": Listed(
            "deploy.cloud.bootstrap",
            "Prepare a project: APIs, buckets, the secret, accounts, roles.",
        ),
        "provision": Listed(
            "deploy.cloud.provision.command", "Reconcile topics, subscriptions and Scheduler jobs."
        ),
        "smoke": Listed(
            "deploy.cloud.smoke", "Call poll and status, and follow one launch to the ledger."
        ),
        "destroy": Listed(
            "deploy.cloud.destroy", "List the parts of a deployment, ask, and delete them."
        ),
    },
    "See what runs": {
        "ls": Listed("deploy.operate.ls", "List the open launches, and those that ended lately."),
        "show": Listed(
            "deploy.operate.show", "Show each step of one launch, its reasons, pages and attempts."
        ),
        "top": Listed("deploy.operate.top", "Show states by queue, slots, held queues, machines."),
        "board": Listed(
            "deploy.operate.board.command", "Serve one page of all launches, or write it to a file."
        ),
        "logs": Listed("deploy.operate.logs", "Print the output of one launch's jobs and builds."),
    },
    "Operate": {
        "why": Listed("deploy.operate.why.command", "Tell why a launch, or everything, waits."),
        "cost": Listed(
            "deploy.operate.cost.command", "Show machine-hours, and their cost by your prices."
        ),
        "doctor": Listed(
            "deploy.cloud.doctor.command",
            "Check a deployment for common faults, and print the fixes.",
        ),
        "cancel": Listed("deploy.operate.cancel", "Cancel launches and their jobs."),
        "retry": Listed("deploy.operate.retry", "Launch an ended launch again."),
        "pause": Listed("deploy.operate.pause", "Hold back the launches of queues."),
        "resume": Listed("deploy.operate.pause", "Let paused queues go on."),
        "publish": Listed("deploy.operate.publish", "Publish a request for a launch."),
        "agent": Listed("deploy.operate.agent", "Show, stop or start poll's agent in W&B."),
        "dead-letters": Listed(
            "deploy.operate.dead_letters.command",
            "List, replay or drop the messages that submit cannot accept.",
        ),
    },
}
COMMANDS = {name: listed for commands in GROUPS.values() for name, listed in commands.items()}
LAPTOP = tuple(GROUPS["On a laptop"])  # these start the stack, which needs a checkout


class Commands(click.Group):
    """The commands, grouped by who needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Import one of them."""
        if name not in COMMANDS:
            return None
        listed = COMMANDS[name]
        command: click.Command = getattr(import_module(listed.module), name.replace("-", "_"))
        command.short_help = listed.summary
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; its error can quote a service's answer, so it is shown without secrets."""
        try:
            return super().invoke(ctx)
        except click.UsageError:
            raise
        except click.ClickException as exc:
            from shared.core.redaction import redacted  # --help imports nothing of ours

            click.echo(f"Error: {redacted(exc.format_message())}", err=True)  # as click does
            ctx.exit(exc.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write one section for each group, then the exit codes."""
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, listed.summary) for name, listed in commands.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names without importing the commands, then options."""
        names = [
            CompletionItem(name, help=listed.summary)
            for name, listed in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"vertex-launch, version {_version()}")
        ctx.exit()


def _version() -> str:
    """Return the version: the checkout's own, else the installed one."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        import tomllib

        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    from importlib.metadata import version

    return version("vertex-launch")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Run W&B Launch queues on Vertex AI, without an agent.

    `vertex-launch COMMAND --help` explains a command.
    """


def run() -> None:
    """Start the command line; the console script `vertex-launch` calls this."""
    if sys.argv[1:] and sys.argv[1] in LAPTOP:
        if not (ROOT / "main.py").is_file():
            sys.exit(f"Error: {_no_checkout(sys.argv[1])}")
        begin_again()
    main(prog_name="vertex-launch")


def _no_checkout(command: str) -> str:
    return (
        f"`{command}` runs the functions of a checkout, and {ROOT} is none: it has no main.py. "
        f"Run `make setup` in a checkout, then .venv/bin/vertex-launch {command} there."
    )


if __name__ == "__main__":
    run()
