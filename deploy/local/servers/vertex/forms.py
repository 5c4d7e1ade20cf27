"""The documented forms of a CustomJob's values, in one table: a path, a pattern and the refusal.

`*` in a path stands for each element of a list. Unset values are not checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_REGIONAL = "It must be in the region of the job"
_TASK = "job_spec.worker_pool_specs.*.container_spec"
_MACHINE = "job_spec.worker_pool_specs.*.machine_spec"


@dataclass(frozen=True)
class Form:
    """The form of a value; a group `location` in the pattern must be the job's region."""

    path: str
    pattern: str
    words: str

    def problem(self, value: str, location: str) -> str:
        """Return Vertex AI's objection to a value; empty for a valid one."""
        match = re.fullmatch(self.pattern, value, re.ASCII)
        if match is None:
            return f'"{value}" is invalid. {self.words}'
        if (match.groupdict().get("location") or location) != location:
            return f'"{value}" is invalid. {_REGIONAL}: {location}.'
        return ""


FORMS = (
    Form(
        "job_spec.service_account",
        r"[a-z0-9][a-z0-9.-]*@[a-z0-9][a-z0-9.:-]*\.gserviceaccount\.com",
        "Service account must be the email address of a service account.",
    ),
    Form(
        "job_spec.network",
        r"projects/\d+/global/networks/[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
        "Format is of the form projects/{project}/global/networks/{network}, "
        "where {project} is a project number.",
    ),
    Form(
        "job_spec.tensorboard",
        r"projects/[^/]+/locations/(?P<location>[^/]+)/tensorboards/[^/]+",
        "Format: projects/{project}/locations/{location}/tensorboards/{tensorboard}.",
    ),
    Form(
        "job_spec.experiment",
        r"projects/[^/]+/locations/(?P<location>[^/]+)/metadataStores/[^/]+/contexts/[^/]+",
        "Format: projects/{project}/locations/{location}/metadataStores/{metadataStores}"
        "/contexts/{experiment-name}.",
    ),
    Form(
        "job_spec.persistent_resource_id",
        r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
        "The ID must match [a-z]([-a-z0-9]{0,61}[a-z0-9])?; it is no full resource name.",
    ),
    Form(
        "job_spec.reserved_ip_ranges.*",
        r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
        "It must be the name of an allocated IP range.",
    ),
    Form(
        "job_spec.base_output_directory.output_uri_prefix",
        r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?|gs://[a-z0-9]+(/.*)?",
        "It must be a Cloud Storage URI that begins with gs://.",
    ),
    Form(
        "encryption_spec.kms_key_name",
        r"projects/[^/]+/locations/(?P<location>[^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+",
        "Has the form: projects/my-project/locations/my-region/keyRings/my-kr/cryptoKeys/my-key.",
    ),
    Form(f"{_MACHINE}.machine_type", r"[a-z0-9]+(-[a-z0-9]+)+", "Machine type is not supported."),
    Form(
        "job_spec.worker_pool_specs.*.disk_spec.boot_disk_type",
        "pd-ssd|pd-standard|hyperdisk-balanced",
        "Valid values: pd-ssd, pd-standard, hyperdisk-balanced.",
    ),
    Form(
        "job_spec.psc_interface_config.network_attachment",
        r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
        r"|projects/[^/]+/regions/(?P<location>[^/]+)/networkAttachments/[^/]+",
        "It must be the name of a network attachment.",
    ),
    Form(
        "job_spec.psc_interface_config.dns_peering_configs.*.domain",
        r".*\.",
        "Must end with a dot.",
    ),
    Form(f"{_TASK}.env.*.name", r"[A-Za-z_][A-Za-z0-9_]*", "It must be a valid C identifier."),
    Form(
        f"{_TASK}.image_uri",
        r"[^\s:@/]+(:\d+)?(/[^\s:@/]+)*(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?",
        "Image URI.",
    ),
)


def form_errors(job: Any, location: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the problem of each value without its documented form."""
    for form in FORMS:
        for path, value in _values(job, form.path.split("."), ""):
            if value and (problem := form.problem(value, location)):
                yield path, problem


def _values(holder: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    """Yield all values at a path, each with the path in Google's notation."""
    if not steps:
        yield path, holder
        return
    step, *rest = steps
    if step == "*":
        for index, one in enumerate(holder):
            yield from _values(one, rest, f"{path}[{index}]")
    else:
        yield from _values(getattr(holder, step), rest, f"{path}.{step}" if path else step)
