"""What stands around an agent's configuration, and its meaning here: a chart's values, variables.

The keys are those of wandb/helm-charts (charts/launch-agent/values.yaml) and the variables that the
installed `wandb` reads. Values of the chart that begin with `agent.` but are not listed belong to
the agent's Pod.
"""

from dataclasses import dataclass

from deploy.operate.agent_keys import DECIDE, MOVED, NOTHING

_KUBERNETES = "It belongs to the agent's Pod in Kubernetes; the functions have none."
_BUILDS = "It is for builds in Kubernetes; Cloud Build has its own account."
_GIT = (
    "Store the login in Secret Manager, and write builder.git_credentials: "
    "{HOST: projects/PROJECT/secrets/SECRET}."
)
_CA = (
    "Save the certificate beside launch-config.yaml, and pass WANDB_CA_FILE=NAME.pem in _SETTINGS."
)
_PROXY = "The functions use no proxy; for a W&B in a private network, set _VPC_CONNECTOR."


@dataclass(frozen=True, slots=True)
class Beside:
    """The meaning of keys beside the configuration. `becomes` is the key of the new file."""

    keys: tuple[str, ...]
    effect: str
    meaning: str
    setting: str = ""
    becomes: str = ""


CHART = (
    Beside(
        ("agent.apiKey",),
        MOVED,
        "bootstrap asks for the key, and stores it in Secret Manager.",
        "WANDB_API_KEY",
    ),
    Beside(
        ("agent.useExternalWandbSecret",), NOTHING, "bootstrap stores the key in Secret Manager."
    ),
    Beside(
        ("agent.startTimeout",),
        MOVED,
        "Pass it in _SETTINGS of the build.",
        "WANDB_LAUNCH_START_TIMEOUT",
    ),
    Beside(("baseUrl",), MOVED, "Pass it as _WANDB_BASE_URL of the build.", "WANDB_BASE_URL"),
    Beside(("namespace", "additionalTargetNamespaces"), NOTHING, "It is for jobs in Kubernetes."),
    Beside(("gitCreds", "sshAuthSecrets"), DECIDE, _GIT, "LAUNCH_GIT_CREDENTIALS"),
    Beside(("customCABundle",), DECIDE, _CA, "WANDB_CA_FILE"),
    Beside(
        ("azureStorageAccessKey", "kanikoPvcName", "kanikoDockerConfigSecret"), NOTHING, _BUILDS
    ),
    Beside(
        ("serviceAccount",),
        NOTHING,
        "Each function has an account of its own, which bootstrap creates.",
    ),
    Beside(("volcano",), NOTHING, _KUBERNETES),
    Beside(("agent",), NOTHING, _KUBERNETES),
)
MAP = (
    Beside(
        ("wandb-base-url",), MOVED, "Pass it as _WANDB_BASE_URL of the build.", "WANDB_BASE_URL"
    ),
    Beside(("Secret",), MOVED, "bootstrap stores W&B's key in Secret Manager.", "WANDB_API_KEY"),
)
VARIABLES = (
    Beside(
        ("WANDB_API_KEY",),
        MOVED,
        "bootstrap asks for the key, and stores it in Secret Manager.",
        "WANDB_API_KEY",
    ),
    Beside(
        ("WANDB_BASE_URL",), MOVED, "Pass it as _WANDB_BASE_URL of the build.", "WANDB_BASE_URL"
    ),
    Beside(
        ("WANDB_ENTITY",),
        MOVED,
        "It wins over the file, as with the agent.",
        "LAUNCH_ENTITY",
        "entity",
    ),
    Beside(
        ("WANDB_LAUNCH_MAX_JOBS",),
        MOVED,
        "It wins over the file, as with the agent.",
        "LAUNCH_MAX_JOBS",
        "max_jobs",
    ),
    Beside(
        ("WANDB_LAUNCH_START_TIMEOUT",),
        MOVED,
        "Pass it in _SETTINGS of the build.",
        "WANDB_LAUNCH_START_TIMEOUT",
    ),
    Beside(
        ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
        MOVED,
        "The project of the jobs, unless the file names one.",
        "GOOGLE_CLOUD_PROJECT",
        "environment.project",
    ),
    Beside(
        ("GOOGLE_CLOUD_REGION", "CLOUDSDK_COMPUTE_REGION"),
        MOVED,
        "The region of the jobs, unless the file names one.",
        "VERTEX_LOCATION",
        "environment.region",
    ),
    Beside(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"), DECIDE, _CA, "WANDB_CA_FILE"),
    Beside(
        ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        DECIDE,
        _PROXY,
    ),
    Beside(
        ("GOOGLE_APPLICATION_CREDENTIALS",),
        NOTHING,
        "Each function has an account of its own, without a key file.",
    ),
    Beside(
        ("WANDB_PROJECT", "WANDB_AGENT_VERSION", "WANDB_RELEASE_NAME", "CM_CHECKSUM"),
        NOTHING,
        "The functions do not need it.",
    ),
    Beside(
        (
            "WANDB_LAUNCH_SERVICE_ACCOUNT_NAME",
            "WANDB_LAUNCH_KANIKO_PVC_NAME",
            "WANDB_LAUNCH_KANIKO_PVC_MOUNT_PATH",
            "WANDB_LAUNCH_KANIKO_AUTH_SECRET",
            "WANDB_LAUNCH_CODE_PVC_NAME",
            "WANDB_LAUNCH_CODE_PVC_MOUNT_PATH",
        ),
        NOTHING,
        _BUILDS,
    ),
    Beside(("AWS_REGION", "DOCKER_HOST"), NOTHING, "It is for another cloud, or for Docker."),
    Beside(
        (
            "PATH",
            "HOME",
            "USER",
            "SHELL",
            "PWD",
            "LANG",
            "TERM",
            "HOSTNAME",
            "SHLVL",
            "LOGNAME",
            "_",
        ),
        NOTHING,
        "It belongs to the machine of the agent.",
    ),
)
OTHER_VARIABLE = Beside(
    (),
    DECIDE,
    "If a queue uses it as a macro, ${NAME}, pass NAME=VALUE and LAUNCH_MACROS=NAME in _SETTINGS.",
    "LAUNCH_MACROS",
)
OTHER = Beside((), NOTHING, "The functions do not read it.")


def beside(kind: str, key: str) -> Beside:
    """Return the meaning of a key around the configuration: its own, or that of its section."""
    table = {"chart": CHART, "map": MAP, "variable": VARIABLES}[kind]
    names = [key]
    while "." in names[-1]:
        names.append(names[-1].rpartition(".")[0])
    for name in names:
        for entry in table:
            if name in entry.keys:
                return entry
    return OTHER_VARIABLE if kind == "variable" else OTHER
