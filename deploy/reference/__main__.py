"""`python -m deploy.reference`: write the generated pages, or check them."""

import sys

import click

from deploy.reference.pages import pages, update


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a page is stale.")
def reference(check: bool) -> None:
    """Write the generated blocks of docs/ from the code."""
    lines = update(pages(), check=check)
    for line in lines:
        click.echo(line)
    if check and lines:
        sys.exit(1)


if __name__ == "__main__":
    reference()
