"""Addresses of pages elsewhere: a run in W&B, a job in Google's console or in `make up`."""

import os
from urllib.parse import quote

from shared.config.base_url import CLOUD
from shared.core.console import console_link
from shared.core.entry import Entry

PAGES = "https://wandb.ai"


def run_link(entry: Entry, base_url: str) -> str:
    """Return the address of a launch's run in W&B; empty if W&B's address is unknown."""
    pages = PAGES if base_url == CLOUD else base_url
    if not pages.startswith(("https://", "http://")) or not entry.run.run_id:
        return ""
    path = (entry.run.entity, entry.run.project, "runs", entry.run.run_id)
    return "/".join([pages.rstrip("/"), *(quote(part, safe="") for part in path)])


def job_link(entry: Entry, *, local: bool) -> str:
    """Return the address of a launch's job; empty if it has none."""
    if not entry.job_name:
        return ""
    if local:
        number = quote(entry.job_name.rpartition("/")[2], safe="")
        vertex = os.environ.get("VERTEX_ENDPOINT", "")
        return f"{vertex}/standin/jobs/{number}/log" if vertex.startswith("http://") else ""
    link = console_link(entry.job_name)
    return link if link.startswith("https://") else ""
