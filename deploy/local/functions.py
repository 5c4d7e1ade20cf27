"""The three functions as local processes: their command and their environment."""

import sys
from pathlib import Path

from deploy.local.environment import ROOT
from deploy.local.ports import HOST, Ports
from deploy.local.project import (
    API_KEY,
    BUCKET,
    ENTITY,
    EVENTS,
    LOCATION,
    NAME,
    PROJECT,
    QUEUE,
    TOPIC,
    WAKE_UP,
)


def function_command(name: str, port: int, source: Path = ROOT) -> list[str]:
    """Return the command that serves one function, as the buildpack's container does."""
    target = ["--target", name, "--source", str(source / "main.py")]
    where = ["--host", HOST, "--port", str(port)]
    return [sys.executable, "-m", "functions_framework", *target, *where]


def platform_variables(name: str, timeout_seconds: int) -> dict[str, str]:
    """Return the environment variables that Cloud Run sets for one function."""
    return {
        "FUNCTION_TARGET": name,
        "FUNCTION_SIGNATURE_TYPE": "cloudevent" if name == "submit" else "http",
        "CLOUD_RUN_TIMEOUT_SECONDS": str(timeout_seconds),
        "THREADED_TIMEOUT_ENABLED": "true",
    }


def cadence_settings(every: float) -> dict[str, str]:
    """Return the cadence of a stack whose minute lasts `every` seconds.

    Without a scheduler, a call makes one round; a round needs half a second of a laptop.
    """
    minute, fast = every / 60, max(every / 12, 0.5)
    if fast * 2 > every:
        return {"LAUNCH_CADENCE": "never"}
    return {
        "LAUNCH_WARM_SECONDS": f"{900 * minute:g}",
        "LAUNCH_ROUND_SECONDS": f"{fast:g}",
        "LAUNCH_WATCH_SECONDS": f"{fast * 2:g}",
        "LAUNCH_YOUNG_SECONDS": f"{600 * minute:g}",
        "POLL_WINDOW_SECONDS": f"{55 * minute:g}",
        "STATUS_WINDOW_SECONDS": f"{55 * minute:g}",
    }


def local_settings(ports: Ports) -> dict[str, str]:
    """Return the settings of every function: only endpoints and names differ from the cloud."""
    return {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "VERTEX_LOCATION": LOCATION,
        "LAUNCH_AGENT_NAME": NAME,
        "LEDGER_BUCKET": BUCKET,
        "LAUNCH_TOPIC": TOPIC,
        "LAUNCH_WAKE_UP_TOPIC": WAKE_UP,
        "LAUNCH_EVENTS_TOPIC": EVENTS,
        "LAUNCH_ENTITY": ENTITY,
        "LAUNCH_QUEUES": QUEUE,
        "LAUNCH_MAX_JOBS": "8",
        "LAUNCH_BASE_IMAGE": "local/python:3",
        "WANDB_BASE_URL": ports.url("wandb"),
        "WANDB_API_KEY": API_KEY,
        "VERTEX_ENDPOINT": ports.url("vertex"),
        "LOGGING_ENDPOINT": ports.url("vertex"),
        "BUILD_ENDPOINT": ports.url("build"),
        "PUBSUB_EMULATOR_HOST": f"{HOST}:{ports.pubsub}",
        "STORAGE_EMULATOR_HOST": ports.url("gcs"),
    }
