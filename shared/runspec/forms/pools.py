"""The forms of a worker pool's values, with their sources."""

from shared.runspec.forms import guesses
from shared.runspec.forms.arguments import DOCS, JOB
from shared.runspec.forms.form import Form

COMPUTE = f"{DOCS}/training/configure-compute"
MACHINES = f"{DOCS}/reference/rest/v1/MachineSpec"
CONTAINERS = f"{DOCS}/reference/rest/v1/CustomJobSpec#ContainerSpec"
RESERVATIONS = f"{DOCS}/training/use-reservations"
NFS = f"{DOCS}/training/train-nfs-share"
EXECVE = "Linux: execve(2)"
RESERVATION_KEY = "compute.googleapis.com/reservation-name"

POOL = "spec.worker_pool_specs[]"
_MACHINE = f"{POOL}.machine_spec"
_CONTAINER = f"{POOL}.container_spec"
_AFFINITY = f"{_MACHINE}.reservation_affinity"
_DISKS = "pd-ssd|pd-standard|hyperdisk-balanced"
_BYTE = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
_IP = rf"{_BYTE}(\.{_BYTE}){{3}}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"
_ZONE = r"(?P<region>[a-z]+-[a-z]+\d+)-[a-z0-9]+"
_FOLDER = r"(?!\.\.?(/|$))[\w.-]+(/(?!\.\.?(/|$))[\w.-]+)*"

POOLS = (
    Form(
        POOL,
        "one to four pools",
        "[{machine_spec: {…}, replica_count: 1, container_spec: {…}}]",
        f"{DOCS}/training/distributed-training; {COMPUTE}",
        note="`{}` skips a pool after the first. A TPU has one pool of one replica.",
    ),
    Form(
        f"{POOL}.replica_count",
        "a whole number above zero; 1 in the first pool (more gives a warning)",
        "1",
        f"{DOCS}/training/distributed-training",
        note="Without it, 1 is sent.",
    ),
    Form(f"{POOL}.python_package_spec", "nothing: W&B Launch runs containers", "", JOB),
    Form(
        f"{_MACHINE}.machine_type",
        "a machine type in lower case",
        "n1-standard-4",
        COMPUTE,
        pattern="[a-z][a-z0-9]*(-[a-z0-9]+)+",
        note="On a persistent resource, write that of one of its pools.",
        required=True,
        meant=guesses.machine,
    ),
    Form(
        f"{_MACHINE}.accelerator_type",
        "an accelerator that the machine type can have, with a count",
        "NVIDIA_TESLA_T4",
        f"{COMPUTE}; SDK: AcceleratorType",
    ),
    Form(
        f"{_MACHINE}.accelerator_count",
        "a count that the machine type can have, with a type",
        "1",
        COMPUTE,
    ),
    Form(
        f"{_MACHINE}.gpu_partition_size",
        "a partition size of the GPU, with accelerator_count: 1",
        "1g.10gb",
        MACHINES,
        pattern=r"\d+g\.\d+gb(\+[a-z.]+)?",
        meant=guesses.lower,
    ),
    Form(
        f"{_MACHINE}.tpu_topology",
        "a topology of the TPU machine type",
        "2x2",
        COMPUTE,
        pattern=r"[1-9]\d*x[1-9]\d*(x[1-9]\d*)?",
        meant=guesses.lower,
    ),
    Form(
        f"{_AFFINITY}.reservation_affinity_type",
        "NO_RESERVATION, ANY_RESERVATION or SPECIFIC_RESERVATION",
        "SPECIFIC_RESERVATION",
        RESERVATIONS,
    ),
    Form(
        f"{_AFFINITY}.key",
        f"{RESERVATION_KEY}, with SPECIFIC_RESERVATION",
        RESERVATION_KEY,
        RESERVATIONS,
        pattern=r"([a-z\d-]+(\.[a-z\d-]+)+/)?[\w.-]+",
    ),
    Form(
        f"{_AFFINITY}.values[]",
        "projects/PROJECT/zones/ZONE/reservations/NAME of the job's region",
        "projects/p/zones/us-central1-a/reservations/r",
        RESERVATIONS,
        required=True,
        pattern=rf"projects/[^/\s]+/zones/{_ZONE}/reservations/[^/\s]+"
        r"(/reservationBlocks/[^/\s]+(/reservationSubBlocks/[^/\s]+)?)?",
        meant=guesses.reservation,
    ),
    Form(
        f"{POOL}.disk_spec.boot_disk_type",
        "a boot disk type",
        "pd-ssd",
        COMPUTE,
        note="Valid: pd-ssd, pd-standard, hyperdisk-balanced.",
        pattern=_DISKS,
        meant=guesses.lower,
    ),
    Form(
        f"{POOL}.disk_spec.boot_disk_size_gb",
        "a whole number from 100 to 64000",
        "200",
        COMPUTE,
        least=100,
        most=64_000,
    ),
    Form(
        f"{POOL}.nfs_mounts[].server",
        "the server's IP address",
        "10.0.0.2",
        NFS,
        _IP,
        required=True,
    ),
    Form(
        f"{POOL}.nfs_mounts[].path",
        "the exported path, which begins with /",
        "/share",
        NFS,
        r"/[^\0]*",
        required=True,
    ),
    Form(
        f"{POOL}.nfs_mounts[].mount_point",
        "the folder under /mnt/nfs",
        "data",
        NFS,
        _FOLDER,
        required=True,
        meant=guesses.last_part,
    ),
    Form(
        f"{POOL}.lustre_mounts[].instance_ip",
        "the instance's IP address",
        "10.0.0.3",
        "SDK: LustreMount.instance_ip",
        _IP,
        required=True,
    ),
    Form(
        f"{POOL}.lustre_mounts[].volume_handle",
        "the volume's identifier",
        "p/us-central1-a/my-instance",
        "SDK: LustreMount.volume_handle",
        required=True,
    ),
    Form(
        f"{POOL}.lustre_mounts[].filesystem",
        "the filesystem's name",
        "scratch",
        "SDK: LustreMount.filesystem",
        required=True,
    ),
    Form(
        f"{POOL}.lustre_mounts[].mount_point",
        "the folder under /mnt/lustre",
        "data",
        "SDK: LustreMount.mount_point",
        _FOLDER,
        required=True,
        meant=guesses.last_part,
    ),
    Form(
        f"{_CONTAINER}.image_uri",
        "an image that Vertex AI can pull",
        "us-docker.pkg.dev/p/r/train:1",
        CONTAINERS,
        note="`${image_uri}` is the launch's image.",
    ),
    *(
        Form(
            f"{_CONTAINER}.{name}[]",
            "a text of at most 131071 bytes",
            example,
            f"{CONTAINERS}; {EXECVE}",
            note="Numbers and flags become text as in JSON.",
        )
        for name, example in (("command", "python"), ("args", "--lr=0.1"))
    ),
    Form(
        f"{_CONTAINER}.env[].name",
        "letters, digits and _, not beginning with a digit",
        "TRAIN_LR",
        f"{DOCS}/reference/rest/v1/EnvVar; {CONTAINERS}",
        note="A container has at most 100 variables, with those of W&B.",
    ),
    Form(
        f"{_CONTAINER}.env[].value",
        "a text of which NAME=VALUE has at most 131071 bytes",
        '"0.1"',
        f"{DOCS}/reference/rest/v1/EnvVar; {EXECVE}",
        note="Numbers and flags become text as in JSON.",
    ),
)
