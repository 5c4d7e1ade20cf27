"""Read the files of this folder, with a deployment's names in place of the placeholders.

Each file is YAML as gcloud reads it, after the placeholders `${PROJECT}`, `${REGION}` and `${NAME}`
are filled in.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from deploy.cloud.deployment import Deployment

HERE = Path(__file__).parent
METRICS, ALERTS, DASHBOARDS = "metrics/*.yaml", "alerts/*.yaml", "dashboard.yaml"
ALERT_LABEL = "vertex-launch-alert"  # its value is the name of the alert's file and page
_PLACEHOLDER = re.compile(r"\$\{([A-Z]+)\}")  # Monitoring's own variables have small letters


def rendered(pattern: str, deployment: Deployment) -> list[dict[str, Any]]:
    """Return the documents of the files that match, in the order of their names."""
    return [yaml.safe_load(text(path, deployment)) for path in sorted(HERE.glob(pattern))]


def text(path: Path, deployment: Deployment) -> str:
    """Return one file with all placeholders filled in; raises KeyError for an unknown one."""
    values = {
        "PROJECT": deployment.project,
        "REGION": deployment.region,
        "NAME": deployment.name,
    }
    return _PLACEHOLDER.sub(lambda found: values[found[1]], path.read_text(encoding="utf-8"))
