"""The report of doctor: each cause once, and the number of checks that could not be made."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, Outcome, by_cause
from deploy.exit_codes import FAILURE, SUCCESS, UNKNOWN
from shared.core.redaction import redacted

AT_ONCE = 8
Group = tuple[str, Callable[[Case], Iterator[Check]]]
WORDS = {
    Outcome.OK: "OK",
    Outcome.WARNING: "to look at",
    Outcome.FAILED: "failed",
    Outcome.UNKNOWN: "unknown",
}
STYLES = {
    Outcome.OK: "green",
    Outcome.WARNING: "yellow",
    Outcome.FAILED: "red",
    Outcome.UNKNOWN: "cyan",
}


@dataclass(frozen=True)
class Report:
    """The findings by the title of their group. `skipped`: checks that a stack has no thing for."""

    groups: Mapping[str, Sequence[Finding]]
    skipped: int = 0

    @classmethod
    def of(cls, case: Case, groups: Mapping[str, Group]) -> "Report":
        """Make the checks of these groups, several at once."""
        checks = [(title, check) for title, look in groups.values() for check in look(case)]
        made = [pair for pair in checks if pair[1].on_stack or not case.stack]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = pool.map(lambda pair: list(case.examined(pair[1])), made)
            found = [
                (title, finding)
                for (title, _), findings in zip(made, results, strict=True)
                for finding in findings
            ]
        by_title: dict[str, list[Finding]] = {title: [] for title, _ in groups.values()}
        once = by_cause([finding for _, finding in found])
        for (title, _), finding in zip(found, once, strict=True):
            if finding:
                by_title[title].append(finding)
        return cls(by_title, len(checks) - len(made))

    @property
    def findings(self) -> list[Finding]:
        """Return all findings, each cause once."""
        return [finding for findings in self.groups.values() for finding in findings]

    @property
    def not_made(self) -> int:
        """Return the number of checks that could not be made."""
        all_of_them = [one for finding in self.findings for one in (finding, *finding.also)]
        return sum(one.outcome is Outcome.UNKNOWN for one in all_of_them)

    @property
    def exit_code(self) -> int:
        """Return FAILURE if anything does not work, UNKNOWN if a check could not be made."""
        outcomes = {finding.outcome for finding in self.findings}
        if Outcome.FAILED in outcomes:
            return FAILURE
        return UNKNOWN if self.not_made else SUCCESS

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        document: dict[str, Any] = redacted(
            {
                "findings": [
                    {
                        "group": title,
                        "check": finding.name,
                        "result": WORDS[finding.outcome],
                        "message": finding.message,
                        "fix": finding.fix.splitlines(),
                        "same_cause": [other.name for other in finding.also],
                    }
                    for title, findings in self.groups.items()
                    for finding in findings
                ],
                "checks_not_made": self.not_made,
                "checks_not_made_on_stack": self.skipped,
            }
        )
        return document

    def print(self) -> None:
        """Print the report for people."""
        console = Console(highlight=False, soft_wrap=True, markup=False)
        for title, findings in self.groups.items():
            if findings:
                console.print(title, style="bold")
            for finding in findings:
                _print(console, finding)
        console.print(self._total())

    def _total(self) -> str:
        outcomes = Counter(finding.outcome for finding in self.findings)
        counts = [
            f"{outcomes[outcome]} {word}"
            for outcome, word in WORDS.items()
            if outcomes[outcome] and outcome is not Outcome.UNKNOWN
        ]
        if self.not_made:
            counts.append(f"{_checks(self.not_made)} could not be made")
        if self.skipped:
            counts.append(f"{_checks(self.skipped)} not made on the local stack")
        return ", ".join(counts)


def _print(console: Console, finding: Finding) -> None:
    console.print(f"{finding.outcome} ", style=STYLES[finding.outcome], end="")
    console.print(f"{finding.name}: {finding.message}")
    for line in finding.fix.splitlines():
        console.print(f"    {line}")
    if finding.also:
        names = ", ".join(dict.fromkeys(other.name for other in finding.also))
        console.print(f"  (the same cause: {names})")


def _checks(count: int) -> str:
    return f"{count} check{'' if count == 1 else 's'}"
