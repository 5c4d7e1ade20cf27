"""The exit codes of every command, in one table."""

import click

SUCCESS = 0
FAILURE = click.ClickException.exit_code
USAGE = click.UsageError.exit_code
REJECTED = 3
UNKNOWN = 4
FAILED = 5
CANCELLED = 6

EXIT_CODES = {
    SUCCESS: "success",
    FAILURE: "failure: something is wrong, or an operation failed",
    USAGE: "usage: an unknown command, option or value",
    REJECTED: "rejected: a launch is refused, or would be",
    UNKNOWN: "unknown: the result cannot be seen, or did not come in time",
    FAILED: "failed: a launch that the command waited for has failed",
    CANCELLED: "cancelled: a launch that the command waited for was cancelled",
}

# by the value of shared.core.states.Outcome, which `--help` does not import
OF_OUTCOMES = {
    "SUCCEEDED": SUCCESS,
    "FAILED": FAILED,
    "CANCELLED": CANCELLED,
    "REJECTED": REJECTED,
}


class CouldNotSee(click.ClickException):
    """An outside system did not answer in time, so the command cannot tell."""

    exit_code = UNKNOWN
