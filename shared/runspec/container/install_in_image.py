"""Install what a job's code needs into its image: our Dockerfile runs this program.

Its arguments are the frozen list, which need not exist, and a file for what was left out.
"""

import sys
from pathlib import Path

from shared.runspec.container.install import install
from shared.runspec.container.output import Problem, hidden, say


def main() -> None:
    """Install; on an error, print the reason and exit."""
    frozen, report = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        left_out = install(Path.cwd(), frozen)
    except Problem as exc:
        sys.exit(hidden(f"vertex-launch: the requirements cannot be installed: {exc}"))
    try:
        report.write_text(left_out, encoding="utf-8")
    except OSError as exc:  # the base image has a user who cannot write there; the log has it
        say(f"{report.name} cannot be written: {exc.strerror}")


if __name__ == "__main__":
    main()
