"""Addresses of Google's console, for people."""


def console_link(job_name: str) -> str:
    """Return the page of a job in Google's console; its logs are one click from there."""
    parts = job_name.split("/")
    if len(parts) != 6:
        return job_name
    _, project, _, location, _, number = parts
    return f"https://console.cloud.google.com/agent-platform/locations/{location}/training/{number}?project={project}"
