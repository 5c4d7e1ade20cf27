"""Install what a job's code needs into its image: our Dockerfile runs this program.

Its arguments are the frozen list, which need not exist, and a file for what was left out.
"""

import sys
from pathlib import Path

from shared.runspec.container.install import install
from shared.runspec.container.output import Problem, hidden


def main() -> None:
    """Install; on an error, print the reason and exit."""
    frozen, report = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        report.write_text(install(Path.cwd(), frozen), encoding="utf-8")
    except Problem as exc:
        sys.exit(hidden(f"vertex-launch: the requirements cannot be installed: {exc}"))


if __name__ == "__main__":
    main()
