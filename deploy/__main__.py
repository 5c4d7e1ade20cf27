"""The command line: `python -m deploy COMMAND`."""

import click

from deploy.local.commands import demo, up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run and inspect W&B Launch on Vertex AI."""


main.add_command(demo)
main.add_command(up)

if __name__ == "__main__":
    main(prog_name="python -m deploy")
