"""Ask for known vulnerabilities of every pinned package: `python -m tests.advisories`, a part of `make check`.

A known vulnerability fails. A package about which no advisory database could be asked is skipped, with the reason: a
machine without PyPI's own API can run the rest of the gate.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click

from tests.deployment.rehearsal import ROOT

AGENT = ROOT / "requirements-agent.txt"  # without hashes: what pip finds beside W&B's agent, for a benchmark
PINS = sorted({*ROOT.glob("requirements*.txt"), *ROOT.glob("constraints*.txt")} - {AGENT})
SHOWN = 3


def audit(report: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return what pip-audit found, a line each, and the names of the packages that it could not ask about."""
    found = [
        f"{one['name']} {one['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in report
        for flaw in one.get("vulns", ())
    ]
    return found, [one["name"] for one in report if "skip_reason" in one]


def main(command: Sequence[str] = (sys.executable, "-m", "pip_audit")) -> int:
    """Run pip-audit, print what it found, and return the exit code of the check."""
    options = ["--format=json", "--progress-spinner=off", "--disable-pip", "--require-hashes"]
    files = [f"--requirement={path}" for path in PINS]
    done = subprocess.run([*command, *options, *files], capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or ["it printed nothing"]
        if "ConnectionError" not in done.stderr and "Timeout" not in done.stderr:
            click.echo(f"pip-audit failed: {done.stderr.strip()}", err=True)
            return 1
        click.echo(f"pip-audit: skipped, because its database cannot be reached: {lines[-1][:200]}")
        return 0
    found, skipped = audit(report)
    for line in found:
        click.echo(f"pip-audit: {line}", err=True)
    if skipped:
        names = ", ".join(skipped[:SHOWN]) + (" …" if len(skipped) > SHOWN else "")
        click.echo(
            f"pip-audit: skipped {len(skipped)} of {len(report)} packages: PyPI's API does not answer here ({names})"
        )
    if not found and len(skipped) < len(report):
        click.echo(f"pip-audit: no known vulnerability in {len(report) - len(skipped)} packages")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
