"""The names of settings: each variable of the functions, and each key of the launch-config."""

from collections.abc import Iterator
from pathlib import Path

from deploy.cloud.deployment import FUNCTIONS
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Finding, ok, warning
from shared.config import unknown
from shared.config.launch_config import LaunchConfig
from shared.config.settings import KEY_FILE, KINDS, split_names, variables
from shared.config.yaml_file import read_yaml
from shared.core.shorten import shown


def check_names(case: Case) -> Iterator[Finding]:
    """Check that each variable and each key of the launch-config has a meaning."""
    title = "names of settings"
    found: dict[str, str] = {}
    known = [names[0] for kind in KINDS for names in variables(kind).values()]
    for verb in FUNCTIONS:
        given = case.variables(verb)  # empty if it is not deployed: its own check reports that
        own = {*known, KEY_FILE, "LAUNCH_CONFIG", *split_names(given.get("LAUNCH_MACROS", ""))}
        found |= unknown.variables(given, own)
    if (path := Path(case.config)).exists():
        found |= unknown.keys(read_yaml(path) or {}, LaunchConfig)
    for name, like in found.items():
        fix = f"Write {like}." if like else "Remove it, or deploy the version that knows it."
        yield warning(title, f"no setting is called {shown(name)}", fix)
    if not found:
        yield ok(title, "each variable and each key of the launch-config is known")
