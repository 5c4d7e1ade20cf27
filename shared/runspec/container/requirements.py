"""Plan the installation of a list of packages that another machine wrote.

A frozen list names what was installed where the job was created: each package, each dependency, in
one version. It can name what only that machine had. W&B's agent, which installs such a list too,
knows PyTorch's local versions and the development versions of wandb.
"""

import re

PYTORCH = "https://download.pytorch.org/whl/"
WANDB = "wandb"  # its newest release
# what pip may read in a list besides packages: where packages are, and which of them count
OPTION = re.compile(
    r"(?:-i|--index-url|--extra-index-url|--trusted-host|-f|--find-links|--no-binary|--only-binary)"
    r"[ =]\s*\S+|--pre|--prefer-binary"
)
REQUIREMENT = re.compile(
    r"(?P<name>[a-z0-9](?:[\w.-]*[a-z0-9])?)\s*(?P<extras>\[[^\]]*\])?\s*"
    r"(?:$|@\s*(?P<address>\S+)|(?:[;(]|===?|[~!<>]=|[<>]).*)",
    re.I,
)
EGG = re.compile(r"#(?:.*&)?egg=([\w.-]+)")
LOCAL = re.compile(r"={2,3}\s*([^\s;,+]+)\+([\w.-]+)")
PLATFORM = re.compile(r"cu\d+|cpu|xpu|rocm\d+(?:\.\d+)*")
TORCH = re.compile(r"torch(?:vision|audio)?")
OF_PYTORCH = re.compile(r"(?:py)?torch[\w.-]*|fbgemm-gpu[\w.-]*|xformers", re.I)
UNRELEASED = re.compile(r"@|\+|\.?dev", re.I)
PATH = re.compile(r"[./~]|[a-z]:[\\/]|\S*\\|[^\s;@]+/|[^\s;@]+\.(?:whl|zip|tgz|tar\.\w+)\b", re.I)
LOCAL_VERSION = "a local version, which PyPI does not have"
SSH = re.compile(r"\w+\+ssh:|ssh:|git\+git@|git@", re.I)


class Plan:
    """What pip installs, in this order, and what it cannot install.

    `exact` lines need no dependencies: the list names them. `others` are lines by the address of
    an index, empty for none. They need theirs: a list from macOS names no CUDA.
    """

    def __init__(self) -> None:
        """Plan nothing."""
        self.options: list[str] = []
        self.exact: list[str] = []
        self.others: dict[str, list[str]] = {}
        self.skipped: list[tuple[str, str]] = []
        self.replaced: list[str] = []


def planned(text: str, elsewhere: bool = False) -> Plan:
    """Return the plan of a frozen list.

    `elsewhere` tells that pip looks in an index besides PyPI, which can have local versions.
    """
    plan, last = Plan(), []
    seen: set[tuple[str, str]] = set()
    lines = lines_of(text)
    plan.options = [line for line in lines if OPTION.fullmatch(line) and not local(line)]
    elsewhere = elsewhere or any("://" in option for option in plan.options)
    for line in lines:
        if line in plan.options:
            continue
        name, index = name_of(line), index_of(line)
        found = REQUIREMENT.fullmatch(line)
        package, _, marker = line.partition(";")
        newest = name == WANDB and UNRELEASED.search(package)
        why = unavailable(line)
        if why and not newest and not (why == LOCAL_VERSION and elsewhere):
            plan.skipped.append((line, why))
            continue
        if (name, marker) in seen and name:  # Python imports the first of two
            continue
        if newest:
            plan.replaced.append(line)
            extras = found.group("extras") if found else ""
            plan.others.setdefault("", []).append(WANDB + (extras or ""))
        elif index or TORCH.fullmatch(name):
            plan.others.setdefault(index, []).append(line)
        elif name == "pip":  # last: an old one may not run on this Python
            last.append(line)
        else:
            plan.exact.append(line)
        seen.add((name, marker))
    plan.exact += last
    return plan


def lines_of(text: str) -> "list[str]":
    """Return the lines of a requirements file: continued lines joined, comments removed."""
    uncommented = re.sub(r"(?m)^[ \t]*#.*$", "", text)  # a comment never continues
    joined = re.sub(r"\\[ \t]*\r?\n", " ", uncommented)
    found = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [line for line in found if line]


def name_of(line: str) -> str:
    """Return the normal form of a package's name; empty if the line names none."""
    found, egg = REQUIREMENT.fullmatch(line), EGG.search(line)
    name = egg.group(1) if egg else ""
    if found and not PATH.match(line):
        name = found.group("name")
    return re.sub(r"[-_.]+", "-", name).lower()


def index_of(line: str) -> str:
    """Return the index of a local version of PyTorch, such as torch==2.1.0+cu118; or nothing."""
    version = LOCAL.search(line)
    if not version or not OF_PYTORCH.fullmatch(name_of(line)):
        return ""
    if not PLATFORM.fullmatch(version.group(2)):
        return ""
    return PYTORCH + ("nightly/" if "dev" in version.group(1) else "") + version.group(2)


def unavailable(line: str) -> str:
    """Return why no other machine can install a line; empty if pip has to try."""
    if re.match(r"(?:-e|--editable)\b", line):
        return "an editable install"
    if line.startswith("-"):
        return "a path of another machine" if local(line) else "an option that names no package"
    found = REQUIREMENT.fullmatch(line)
    address = (found and found.group("address")) or line
    if SSH.match(address):
        return "an address by ssh, for which there is no key"
    if local(address):
        return "a path of another machine"
    if LOCAL.search(line) and not index_of(line):
        return LOCAL_VERSION
    return "" if found or "://" in line else "not a requirement"


def local(text: str) -> bool:
    """Tell whether an address, or the option of one, leads to a file of another machine."""
    address = re.sub(r"^(?:-f|--find-links|-r|-c|--requirement|--constraint)[ =]\s*", "", text)
    if re.match(r"(?:\w+\+)?file:", address, re.I):
        return True
    return "://" not in address and bool(PATH.match(address))
