"""Random policies, and run specs that a policy allows but for a few attacks on it."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy

# arguments that keep a launch in its region
REGIONAL = [("spec", name) for name in ("persistent_resource_id", "encryption_spec_key_name")]
REGIONAL += [("run", name) for name in ("network", "experiment", "persistent_resource_id", "psc_interface_config")]
DIGEST = "sha256:" + "a" * 64
# by rule: the values that policies list and specs use, the first of each allowed more often
WORDS: dict[str, list[str]] = {
    "service_accounts": ["a@p.iam.gserviceaccount.com", "b@p.iam.gserviceaccount.com", "a@q.iam.gserviceaccount.com"],
    "images": [
        "us-docker.pkg.dev/p/team/train:1",
        "us-docker.pkg.dev/p/team-b/train:1",
        "gcr.io/p/x",
        "python:3.12",
        f"us-docker.pkg.dev/p/team/train@{DIGEST}",
        "ghcr.io/other/x:2",
    ],
    "machine_types": ["n1-standard-4", "g2-standard-8", "a3-highgpu-8g", "ct5lp-hightpu-4t"],
    "accelerator_types": ["NVIDIA_L4", "NVIDIA_H100_80GB", "NVIDIA_TESLA_T4"],
    "tpu_topologies": ["2x2", "16x16"],
    "boot_disk_types": ["pd-ssd", "pd-standard", "hyperdisk-balanced"],
    "nfs_mounts": ["10.0.0.2:/data", "10.0.0.2:/secret", "10.0.0.9:/data"],
    "lustre_mounts": ["10.0.0.3:scratch:v1", "10.0.0.3:scratch:v2"],
    "environment_variables": ["TRAIN_LR", "NCCL_DEBUG", "LD_PRELOAD", "PYTHONPATH"],
    "buckets": ["gs://team", "gs://shared/team", "gs://team-b", "gs://shared/other"],
    "projects": ["p", "123", "q", "example.com:p"],
    "regions": ["us-central1", "europe-west4", "asia-east1"],
    "wandb_entities": ["team", "other"],
    "wandb_projects": ["team/cats", "team/dogs", "other/cats"],
}
PREFIXES = [
    "us-docker.pkg.dev/p/team",
    "us-docker.pkg.dev/p",
    "gcr.io/p/",
    "docker.io/library",
    "us-docker.pkg.dev/p/team/train:1",
    f"us-docker.pkg.dev/p/team/train@{DIGEST}",
    "ghcr.io",
]
PATTERNS = ["TRAIN_*", "NCCL_DEBUG", "*_LR", "?RAIN_LR"]
NUMBERS = {"max_replicas": [1, 2, 4, 8], "max_boot_disk_gb": [100, 200, 1000]}
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        9,
        -1,
        1.0,
        2.5,
        10**20,
        float(2**40),
        "",
        " ",
        "0",
        "9",
        "-3",
        "1e3",
        " 2 ",
        "true",
        "TRUE",
    ),
    *([], {}, [None], [[]], {"a": 1}, ["x"], "..", ".", "/", "\n", "x\n", "projects/q", "projects/p/../q/x"),
    *("projects/q/global/networks/n", "projects/p/projects/q/x", "//compute.googleapis.com/projects/q/x", "q/x"),
    *("https://www.googleapis.com/compute/v1/projects/q/global/networks/n", "projects%2Fq", "${run_name}", "${author}"),
    *("${image_uri}", "${FORBIDDEN}", "${entity_name}", "{{t}}", "NVIDIA-L4", "nvidia_l4", "AcceleratorType.NVIDIA_L4"),
    *(
        "gs://team/../other",
        "gs://team-b/x",
        "team",
        "gs://shared/team/../other",
        "gs://team\n",
        "GS://team",
        "gs://other",
    ),
    *(
        "US-CENTRAL1",
        "europe-west4",
        "us-central1 ",
        "WANDB_X",
        "LD_PRELOAD=x",
        "TRAIN_LR\n",
        "train_lr",
        "WANDB_CONFIG_9",
    ),
]
IMAGES = [
    *("us-docker.pkg.dev/p/team/../other/x", "us-docker.pkg.dev/p/team/%2e%2e/x", "us-docker.pkg.dev/p/team\\..\\x"),
    *(
        "us-docker.pkg.dev/p/team/x\n",
        "us-docker.pkg.dev/p/team/x y",
        "python:3.12 as base",
        "US-docker.pkg.dev/p/team/x",
    ),
    *(
        "us-docker.pkg.dev/P/team/x",
        "us-docker.pkg.dev//p/team/x",
        "us-docker.pkg.dev/p/team/",
        "index.docker.io/python",
    ),
    *(f"us-docker.pkg.dev/p/team/train:1@{DIGEST}", "us-docker.pkg.dev/p/team/train:1@sha256:00", "docker.io/python"),
    *("us-docker.pkg.dev:443/p/team/x", "us-docker.pkg.dev./p/team/x", "user@us-docker.pkg.dev/p/team/x", "python"),
    *("https://us-docker.pkg.dev/p/team/x", "us-docker.pkg.dev/p/team:1/x", "us-docker.pkg.dev/p/team/train:1:2"),
    *("us-docker.pkg.dev/p/team?x", "us-docker.pkg.dev/p/team#x", "evil.io/us-docker.pkg.dev/p/team", "library/python"),
]


ACCELERATORS = {  # of the machine types
    "n1-standard-4": ("NVIDIA_TESLA_T4", 1),
    "g2-standard-8": ("NVIDIA_L4", 1),
    "a3-highgpu-8g": ("NVIDIA_H100_80GB", 8),
}


@dataclass
class Case:
    """A policy, and the launch that is compared with it. `values` fill the queue's template variables."""

    policy: AdmissionPolicy
    spec: dict[str, Any]
    ladder: Ladder = field(default_factory=Ladder)
    values: dict[str, Any] = field(default_factory=dict)
    secret: bool = False  # jobs read the key from a secret
    builds: bool = False
    base_image: str = ""  # of the code of its W&B job

    @property
    def vertex(self) -> dict[str, Any]:
        """Return the part for Vertex AI."""
        part: dict[str, Any] = self.spec["resource_args"]["vertex"]
        return part


def cases(seed: int) -> Iterator[Case]:
    """Yield cases without end; the same for the same seed."""
    random = Random(seed)  # noqa: S311 - not for secrets
    while True:
        rules = _policy(random)
        case = Case(AdmissionPolicy(**rules), _spec(random, rules))
        case.secret, case.builds = random.random() < 0.1, random.random() < 0.3
        if random.random() < 0.3:
            case.ladder = _ladder(random)
            for part, name in REGIONAL:
                case.vertex[part].pop(name, None)
        for attack in random.choices(ATTACKS, k=random.choice([0, 1, 1, 1, 2, 2, 3])):
            attack(random, case)
        yield case


def _policy(random: Random) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    for name in AdmissionPolicy.model_fields:
        if random.random() < 0.5:
            continue
        if name in NUMBERS:
            rules[name] = random.choice(NUMBERS[name])
        elif name == "enable_web_access":
            rules[name] = random.random() < 0.2
        else:
            known = {"images": PREFIXES, "environment_variables": PATTERNS}.get(name, WORDS.get(name, []))
            rules[name] = tuple({known[0], *random.sample(known, random.randint(0, len(known) - 1))})
    return rules


def _spec(random: Random, rules: dict[str, Any]) -> dict[str, Any]:
    """Return a run spec that these rules allow, as far as one value at a time can tell."""

    def word(name: str) -> str:
        known = WORDS[name]
        if name not in rules or name in ("images", "environment_variables"):
            return known[0] if name in rules else random.choice(known)
        return str(random.choice(rules[name]))

    def maybe(**given: Callable[[], Any]) -> dict[str, Any]:
        return {name: make() for name, make in given.items() if random.random() < 0.4}

    region = word("regions")

    def resource(end: str) -> Callable[[], str]:
        return lambda: f"projects/{word('projects')}/{end}"

    def pool(machine_type: str) -> dict[str, Any]:
        server, path = word("nfs_mounts").split(":")
        address, filesystem, handle = word("lustre_mounts").split(":")
        lustre = {"instance_ip": address, "filesystem": filesystem, "volume_handle": handle, "mount_point": "l"}
        affinity = {
            "reservation_affinity_type": 3,
            "key": "compute.googleapis.com/reservation-name",
            "values": [f"projects/{word('projects')}/zones/{region}-a/reservations/r"],
        }
        machine = maybe(reservation_affinity=lambda: affinity)
        accelerator, count = ACCELERATORS.get(machine_type, ("", 0))
        allowed = accelerator in rules.get("accelerator_types", [accelerator]) or random.random() < 0.2
        if accelerator and allowed and random.random() < 0.4:
            machine |= {"accelerator_type": accelerator, "accelerator_count": count}
        if machine_type not in ACCELERATORS:
            machine |= maybe(tpu_topology=lambda: random.choice([word("tpu_topologies"), *WORDS["tpu_topologies"]]))
        size = rules.get("max_boot_disk_gb", 500)
        disk = {
            "boot_disk_type": word("boot_disk_types"),
            "boot_disk_size_gb": random.choice([size, str(size), 100, 900]),
        }
        return {
            "machine_spec": {"machine_type": machine_type, **machine},
            "container_spec": {
                "image_uri": random.choice(["${image_uri}", word("images")]),
                "command": ["python", "x.py"],
                **maybe(env=lambda: [{"name": word("environment_variables"), "value": "of the author"}]),
            },
            **maybe(
                replica_count=lambda: random.choice([1, "1"]),
                disk_spec=lambda: disk,
                nfs_mounts=lambda: [{"server": server, "path": path, "mount_point": "d"}],
                lustre_mounts=lambda: [lustre],
            ),
        }

    machine_type = word("machine_types")
    pools: list[Any] = [pool(machine_type)]
    more = machine_type in ACCELERATORS and rules.get("max_replicas", 9) > 1
    if more and random.random() < 0.3:
        pools += random.choice([[{}, pool(machine_type)], [pool(machine_type)]])
    entity, project = word("wandb_projects").split("/")
    if "wandb_entities" in rules and entity not in rules["wandb_entities"]:
        entity, project = "team", "cats"
    dns = {"domain": "a.b.", "target_project": word("projects"), "target_network": "n"}
    psc = {"network_attachment": f"projects/{word('projects')}/regions/{region}/networkAttachments/n"}
    account = {"service_account": word("service_accounts")} if random.random() < 0.6 else {}
    # Vertex AI accepts a network only by the number of its project
    network = {"network": "projects/123/global/networks/n"} if "123" in rules.get("projects", ["123"]) else {}
    experiment = {"experiment": "cats"} if account else {}
    return {
        "entity": entity,
        "project": project,
        "name": "one",
        "author": "ann",
        "run_id": "r1",
        "docker": {"docker_image": word("images")},
        "resource": "vertex",
        "resource_args": {
            "vertex": {
                "spec": {
                    "worker_pool_specs": pools,
                    "staging_bucket": word("buckets"),
                    "project": word("projects"),
                    "location": region,
                    **maybe(
                        base_output_dir=lambda: f"{word('buckets')}/out",
                        encryption_spec_key_name=resource(f"locations/{region}/keyRings/r/cryptoKeys/k"),
                        persistent_resource_id=lambda: "pr-1",
                    ),
                },
                "run": {
                    **account,
                    **(network if random.random() < 0.4 else {}),
                    **(experiment if random.random() < 0.4 else {}),
                    **maybe(
                        enable_web_access=lambda: "enable_web_access" not in rules,
                        persistent_resource_id=lambda: "pr-1",
                        psc_interface_config=lambda: {**psc, "dns_peering_configs": [dns]},
                        scheduling_strategy=lambda: random.choice(["SPOT", 2, "standard"]),
                        timeout=lambda: "60s",
                    ),
                },
            }
        },
    }


def _ladder(random: Random) -> Ladder:
    regions = [
        {"region": region, "staging_bucket": random.choice([*WORDS["buckets"], "gs://ladder"])}
        for region in random.sample(WORDS["regions"], 2)
    ]
    return Ladder.model_validate({"regions": regions, "strategies": random.choice([[], ["SPOT", "STANDARD"]])})


# --- attacks


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every holder in a spec with each of its keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _place(random: Random, case: Case) -> tuple[Any, Any]:
    """Return a place, more often that of a plain value."""
    places = list(_places(case.vertex))
    plain = [(holder, key) for holder, key in places if not isinstance(holder[key], dict | list)]
    return random.choice((plain if random.random() < 0.8 else places) or [(case.spec, "name")])


def _odd_value(random: Random, case: Case) -> None:
    """Replace a value by one of another type, of another form, or of another rule."""
    holder, key = _place(random, case)
    every = [word for words in WORDS.values() for word in words]
    holder[key] = copy.deepcopy(random.choice([random.choice(ODD), random.choice(every), random.choice(IMAGES)]))


def _other_value(random: Random, case: Case) -> None:
    """Replace a value by another of the same rule."""
    places = list(_places(case.vertex))
    random.shuffle(places)
    for holder, key in places:
        for words in WORDS.values():
            if isinstance(holder[key], str) and holder[key] in words:
                holder[key] = random.choice(words)
                return


def _space(random: Random, case: Case) -> None:
    """Add white space, or change the case, of a text."""
    holder, key = _place(random, case)
    if isinstance(holder[key], str):
        change = random.choice([" {}", "{} ", "{}\n", "\t{}", "{}\0", "{}/", "{}/..", "./{}"])
        holder[key] = random.choice([change.format(holder[key]), holder[key].upper(), holder[key].title()])


def _other_spelling(random: Random, case: Case) -> None:
    """Write a field twice: also in camelCase, with an underscore, or under another part."""
    holder, key = _place(random, case)
    if isinstance(holder, dict) and isinstance(key, str):
        first, *rest = key.split("_")
        camel = first + "".join(word.title() for word in rest)
        holder[random.choice([camel, f"{key}_", key.upper(), f" {key}"])] = copy.deepcopy(holder[key])


def _other_part(random: Random, case: Case) -> None:
    """Write arguments in the other part, in both, or both parts for Vertex AI."""
    vertex = case.vertex
    spec, run = vertex.get("spec"), vertex.get("run")
    arguments: list[tuple[str, list[Any]]] = [
        ("service_account", WORDS["service_accounts"]),
        ("persistent_resource_id", ["projects/q/locations/l/persistentResources/x", "pr"]),
        ("network", ["projects/q/global/networks/n", "projects/123/global/networks/n"]),
        ("enable_web_access", ["true", True, "True", 1]),
        ("tensorboard", ["projects/q/locations/l/tensorboards/1", "projects/p/locations/l/tensorboards/1"]),
        ("experiment", ["projects/q/locations/l/metadataStores/default/contexts/x"]),
        ("base_output_dir", ["gs://other/x", "gs://team/x"]),
        ("project", WORDS["projects"]),
        ("location", WORDS["regions"]),
    ]
    name, words = random.choice(arguments)
    for part in random.choice([[spec], [run], [spec, run]]):
        if isinstance(part, dict):
            part[name] = random.choice(words)
    if random.random() < 0.2:
        case.spec["resource_args"]["gcp-vertex"] = copy.deepcopy(vertex)


def _item_fields(random: Random, case: Case) -> None:
    """Change the item's own fields: its run, its image, its name, from which macros take values."""
    changes: list[tuple[str, list[Any]]] = [
        ("entity", [*WORDS["wandb_entities"], "team/cats", " team", "Team"]),
        ("project", ["cats", "dogs", "cats/x", "Cats", " cats", "../cats"]),
        ("docker", [{"docker_image": image} for image in [*IMAGES, *WORDS["images"]]]),
        (
            "name",
            [*WORDS["images"], *WORDS["buckets"], "LD_PRELOAD", "projects/q/global/networks/n", "a3-megagpu-8g"],
        ),
        ("author", [*WORDS["service_accounts"], *WORDS["regions"], "q"]),
        ("run_id", ["..", "../../x", "r/../..", "x"]),
        ("overrides", [{"args": ["--x"]}, {"entry_point": ["sh"]}, {"run_config": {"x": "projects/q/y"}}]),
    ]
    name, words = random.choice(changes)
    case.spec[name] = copy.deepcopy(random.choice(words))
    if random.random() < 0.5:
        holder, key = _place(random, case)
        holder[key] = random.choice(
            ["${run_name}", "${author}", "${image_uri}", "${entity_name}/x", "gs://${run_name}"]
        )


def _template(random: Random, case: Case) -> None:
    """Fill a place from a template variable of the queue, in the type that the author chose."""
    holder, key = _place(random, case)
    words = [word for words in WORDS.values() for word in words]
    case.values["t"] = copy.deepcopy(random.choice([*ODD, *words, *IMAGES]))
    holder[key] = random.choice(["{{t}}", "{{ t }}", "gs://{{t}}"])


def _job(random: Random, case: Case) -> None:
    """Launch a job's code in a base image."""
    case.spec.pop("docker", None)
    case.spec["job"] = "team/cats/train:v1"
    case.base_image = random.choice([*WORDS["images"], *IMAGES])


def _variables(random: Random, case: Case) -> None:
    """Set W&B's own variables, or those that change a program."""
    pools = case.vertex["spec"]["worker_pool_specs"] if isinstance(case.vertex.get("spec"), dict) else None
    names = [
        "WANDB_USERNAME",
        "WANDB_SWEEP_ID",
        "WANDB_CONFIG_9",
        "WANDB_ENTITY",
        "WANDB_PROJECT",
        "WANDB_API_KEY",
        "wandb_entity",
        *WORDS["environment_variables"],
        "A.B",
    ]
    for pool in pools if isinstance(pools, list) else []:
        if isinstance(pool, dict) and isinstance(pool.get("container_spec"), dict):
            pool["container_spec"]["env"] = [{"name": random.choice(names), "value": "of the author"} for _ in range(2)]


def _more_machines(random: Random, case: Case) -> None:
    """Ask for more replicas, disk or accelerators, in any type that a JSON number can have."""
    spec = case.vertex.get("spec")
    pools = spec.get("worker_pool_specs") if isinstance(spec, dict) else None
    for pool in pools if isinstance(pools, list) else []:
        if isinstance(pool, dict) and pool:
            pool["replica_count"] = random.choice(
                [0, 1, 3, "3", 3.0, "3.0", "9", 99, -5, "-5", None, "", 1e15, " 7 ", "٣"]
            )
            pool["disk_spec"] = {"boot_disk_size_gb": random.choice([0, 99, 201, "900", 900.0, 1e6, -1, "64000", None])}
            if isinstance(pool.get("machine_spec"), dict):
                pool["machine_spec"]["accelerator_type"] = random.choice(
                    [0, 1, 9, "9", "nvidia l4", "NVIDIA_H100_80GB", 13]
                )


def _shells(random: Random, case: Case) -> None:
    """Ask for interactive shells, in any type."""
    if isinstance(case.vertex.get("run"), dict):
        case.vertex["run"]["enable_web_access"] = random.choice([True, "true", "TRUE", " True ", 1, "1", "yes", ["x"]])


ATTACKS: list[Callable[[Random, Case], None]] = [
    *(_odd_value, _odd_value, _other_value, _other_value, _space, _other_spelling, _other_part, _other_part),
    *(_item_fields, _item_fields, _template, _job, _variables, _more_machines, _shells),
]
