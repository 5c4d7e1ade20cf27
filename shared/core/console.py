"""Links into Google's console."""


def console_link(job_name: str) -> str:
    """Return the address of a job's page in Google's console, which links to its logs."""
    parts = job_name.split("/")
    if len(parts) != 6:
        return job_name
    _, project, _, location, _, number = parts
    page = f"agent-platform/locations/{location}/training/{number}"
    return f"https://console.cloud.google.com/{page}?project={project}"


def build_link(build_name: str) -> str:
    """Return the address of a build's page in Google's console, as Cloud Build itself writes it."""
    parts = build_name.split("/")
    if len(parts) != 6:
        return build_name
    _, project, _, location, _, number = parts
    page = f"cloud-build/builds;region={location}/{number}"
    return f"https://console.cloud.google.com/{page}?project={project}"
