"""Exit codes of the commands, besides click's own: 0 success, 1 failure, 2 usage."""

import click

REJECTED = 3  # the launch was refused
UNKNOWN = 4  # it could not be seen, or timed out


class CouldNotSee(click.ClickException):
    """An outside system did not answer in time, so the command cannot tell."""

    exit_code = UNKNOWN
