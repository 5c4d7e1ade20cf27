"""The forms of the arguments under `spec` and `run`, with their sources."""

from shared.runspec.forms import guesses
from shared.runspec.forms.form import NAME, Form

DOCS = "https://cloud.google.com/vertex-ai/docs"
JOB = f"{DOCS}/reference/rest/v1/CustomJobSpec"
LOCATIONS = f"{DOCS}/general/locations"
SCHEDULING = f"{DOCS}/reference/rest/v1/CustomJobSpec#Scheduling"
FLEX = f"{DOCS}/training/schedule-jobs-dws"
PSC = f"{DOCS}/general/vpc-psc-i-egress"
SDK = "SDK: CustomJob"
RUN = "SDK: CustomJob.run"
BUCKETS = "https://cloud.google.com/storage/docs/buckets#naming"

PROJECT = r"([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{0,29}|\d+"
DAY = 24 * 3600
_PSC = "run.psc_interface_config"
_ACCOUNT = (
    r"(?!.*@gcp-sa-)[a-z0-9][a-z0-9.-]*@([a-z0-9.-]+\.iam|developer|appspot)\.gserviceaccount\.com"
)
_EXPERIMENT = "[a-z0-9][a-z0-9-]{0,127}"
_CONTEXT = r"projects/[^/]+/locations/(?P<region>[^/]+)/metadataStores/[^/]+/contexts"

ARGUMENTS = (
    Form(
        "spec.display_name",
        "at most 128 characters",
        "blue-sky-7",
        f"{DOCS}/reference/rest/v1/projects.locations.customJobs",
    ),
    Form(
        "spec.project",
        "a project's id, or its number in digits",
        "my-project-123",
        "https://cloud.google.com/resource-manager/docs/creating-managing-projects",
    ),
    Form(
        "spec.location",
        "a region of the SDK's list, which is no zone, and not `global`, `us` or `eu`",
        "us-central1",
        f"{LOCATIONS}; SDK: constants.SUPPORTED_REGIONS",
    ),
    Form(
        "spec.staging_bucket",
        "a bucket of the job's region, with or without a folder",
        "gs://my-bucket/staging",
        BUCKETS,
    ),
    Form(
        "spec.base_output_dir",
        "a folder of a bucket",
        "gs://my-bucket/output",
        JOB,
    ),
    Form(
        "spec.labels",
        "at most 60 labels in lower-case letters, digits, _ and -, of at most 64 characters",
        "{team: vision}",
        f"{DOCS}/reference/rest/v1/projects.locations.customJobs",
    ),
    Form(
        "spec.encryption_spec_key_name",
        "projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY of the job's region",
        "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k",
        f"{DOCS}/general/cmek",
        pattern=r"projects/[^/\s]+/locations/(?P<region>[^/\s]+)/keyRings/[\w-]+/cryptoKeys/[\w-]+",
        meant=guesses.key,
    ),
    Form("spec.credentials", "nothing: the job runs as run.service_account", "", SDK),
    *(
        Form(
            f"{part}.persistent_resource_id",
            "the id of a persistent resource of the job's project and region",
            "my-resource",
            "SDK: CreatePersistentResourceRequest.persistent_resource_id",
            pattern=NAME,
            meant=guesses.last_part,
        )
        for part in ("spec", "run")
    ),
    Form(
        "run.service_account",
        "the address of a service account",
        "trainer@my-project.iam.gserviceaccount.com",
        f"{DOCS}/general/custom-service-account",
        pattern=_ACCOUNT,
        note="A person's account and Google's own service agents run no job.",
        meant=guesses.account,
    ),
    Form(
        "run.network",
        "projects/NUMBER/global/networks/NAME",
        "projects/12345/global/networks/my-vpc",
        f"{JOB}#FIELDS.network",
        pattern=rf"projects/\d+/global/networks/{NAME}",
        note="`gcloud projects describe PROJECT` shows the project's number.",
        meant=guesses.network,
    ),
    Form(
        "run.timeout",
        "a number of seconds above zero",
        "3600",
        SCHEDULING,
        note="Vertex AI's default is seven days, which is also the limit of FLEX_START.",
        least=1,
    ),
    Form(
        "run.max_wait_duration",
        "a number of seconds",
        "7200",
        FLEX,
        note="FLEX_START waits so long for machines, and without a limit for 0. The default is one "
        "day.",
        least=0,
    ),
    Form("run.create_request_timeout", "a number of seconds from 1", "30", RUN),
    Form("run.restart_job_on_worker_restart", "true or false", "true", SCHEDULING),
    Form("run.disable_retries", "true or false", "true", SCHEDULING),
    Form("run.enable_web_access", "true or false", "false", f"{JOB}#FIELDS.enable_web_access"),
    Form(
        "run.scheduling_strategy",
        "the name or the number of a strategy",
        "SPOT",
        f"{SCHEDULING}; {FLEX}",
        note="FLEX_START needs L4, A100, H100, H200 or B200 GPUs, and the same machine in each "
        "pool.",
    ),
    Form(
        "run.tensorboard",
        "projects/PROJECT/locations/REGION/tensorboards/ID of the job's region",
        "projects/p/locations/us-central1/tensorboards/123",
        f"{JOB}#FIELDS.tensorboard",
        note="It needs run.service_account.",
        pattern=r"projects/[^/\s]+/locations/(?P<region>[^/\s]+)/tensorboards/[^/\s]+",
    ),
    Form(
        "run.experiment",
        "the name of an experiment of the job's region, in lower-case letters, digits and -",
        "my-experiment",
        RUN,
        note="It needs run.service_account, and excludes run.tensorboard.",
        pattern=rf"{_EXPERIMENT}|{_CONTEXT}/{_EXPERIMENT}",
        meant=guesses.lower,
    ),
    Form(
        "run.experiment_run",
        "the name of a run of run.experiment",
        "my-run",
        RUN,
        pattern=rf"{_EXPERIMENT}|{_CONTEXT}/{_EXPERIMENT}",
        meant=guesses.lower,
    ),
    Form("run.sync", "nothing: a launch never waits for its job", "", RUN),
    Form(
        f"{_PSC}.network_attachment",
        "the name of a network attachment, or projects/PROJECT/regions/REGION/networkAttachments/"
        "NAME of the job's region",
        "my-attachment",
        PSC,
        pattern=rf"{NAME}|projects/[^/\s]+/regions/(?P<region>[^/\s]+)/networkAttachments/{NAME}",
        meant=guesses.attachment,
    ),
    Form(
        f"{_PSC}.dns_peering_configs[].domain",
        "a DNS name that ends with a dot",
        "my-domain.corp.",
        "SDK: DnsPeeringConfig.domain",
        pattern=r"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+",
        required=True,
        meant=guesses.dotted,
    ),
    Form(
        f"{_PSC}.dns_peering_configs[].target_project",
        "the id of the project with the DNS zone",
        "my-project-123",
        "SDK: DnsPeeringConfig.target_project",
        pattern=PROJECT,
        required=True,
        meant=guesses.last_part,
    ),
    Form(
        f"{_PSC}.dns_peering_configs[].target_network",
        "the name of a network of that project",
        "my-vpc",
        "SDK: DnsPeeringConfig.target_network",
        pattern=NAME,
        required=True,
        meant=guesses.last_part,
    ),
)
