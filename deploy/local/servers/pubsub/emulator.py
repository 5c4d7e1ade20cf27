"""Google's own Pub/Sub emulator, if gcloud and Java are installed."""

import shutil
from pathlib import Path


def emulator_jar() -> Path | None:
    """Return the emulator's jar beside gcloud, or None; gcloud itself takes a second to find it."""
    gcloud = shutil.which("gcloud")
    if not gcloud or not shutil.which("java"):
        return None
    roots = [Path(gcloud).resolve().parent.parent, Path("/usr/lib/google-cloud-sdk")]
    jars = [
        jar
        for root in roots
        for jar in root.glob("platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar")
    ]
    return max(jars, default=None)


def emulator_command(host: str, port: int) -> list[str] | None:
    """Return the command that runs the jar, or None.

    gcloud's wrapper leaves Java running when it ends.
    """
    jar = emulator_jar()
    if jar is None:
        return None
    options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *options, "-jar", str(jar), f"--host={host}", f"--port={port}"]
