"""The steps of `bootstrap` as one script for POSIX sh, which an administrator runs elsewhere."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import Step, no_updates
from deploy.cloud.waiting import TABLE

NUMBER = "PROJECT_NUMBER"  # stands for the project's number, which the script reads
ENDS = re.compile(r'request\.time < timestamp\("[^"]+"\)')
HERE = Path(__file__).parent
CREATE, UPDATE = "create", "update"
FILES = ("--lifecycle-file=", "--policy=")  # flags whose value is a file
HEAD = """\
#!/bin/sh
# Prepares the project {project} for the deployment {name} in {region}: APIs, buckets, the secret,
# service accounts, roles and bindings. `vertex-launch bootstrap --print` wrote this script.
#
#   sh THIS_FILE
#
# It needs gcloud, logged in as an owner of the project (`gcloud auth login`), and no other file.
# It stops at the first error. You can run it again: it creates what is missing, and updates
# roles and buckets. It deletes nothing but the expired binding of the build's first days.
#
# You fill in nothing. These variables occur below:
#   WANDB_API_KEY    the key of a W&B service account. The script needs it only if the secret
#                    has no version yet: export it, or the script asks for it.
#   PROJECT_NUMBER   the project's number, which the script reads from Google.
#   FIRST_DAYS_END   the end of tomorrow (UTC). Until then the build can create functions and
#                    topics and set their policies.
set -eu
umask 077
folder=$(mktemp -d)
trap 'rm -rf "${{folder}}"' EXIT
stop() {{
  echo "$1" >&2
  exit 1
}}
command -v gcloud >/dev/null ||
  stop "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
waiting=${{folder}}/waiting.txt patience_denied=60 input='' absent=''
"""
FUNCTIONS = """\

# Each command below waits while its error passes by itself.
gcloud() { patiently command gcloud --quiet --format=none "$@"; }

# exists COMMAND…: tell whether a resource exists; stop at any other error.
exists() {
  absent='NOT_FOUND|not found|does not exist|HTTPError 404' status=0
  gcloud "$@" || status=$?
  absent=''
  case ${status} in
    0) return 0 ;;
    44) return 1 ;;
    *) exit "${status}" ;;
  esac
}

PROJECT_NUMBER=$(gcloud projects describe PROJECT --format='value(projectNumber)')
tomorrow=$(($(date +%s) + 172800))
FIRST_DAYS_END=$(date -u -d "@${tomorrow}" +%Y-%m-%dT00:00:00Z 2>/dev/null ||
  date -u -r "${tomorrow}" +%Y-%m-%dT00:00:00Z)
"""
KEY = """
echo "W&B's API key"
versions=$(gcloud secrets versions list SECRET --filter=state=ENABLED \\
  --format='value(name)' --project=PROJECT)
if [ -z "${versions}" ]; then
  if [ -z "${WANDB_API_KEY:-}" ]; then
    [ -t 0 ] || stop "The secret SECRET has no version: export WANDB_API_KEY, then run this again."
    printf "W&B's API key: " >&2
    stty -echo
    read -r WANDB_API_KEY
    stty echo
    echo >&2
  fi
  input=${WANDB_API_KEY}
  gcloud secrets versions add SECRET --data-file=- --project=PROJECT
  input=''
fi
echo "PROJECT is ready for the first build, which must end before ${FIRST_DAYS_END}."
"""


def script(deployment: Deployment, phases: Mapping[str, Sequence[Sequence[Step]]]) -> str:
    """Return the script that carries out the steps of all phases, one after another."""
    place = {"project": deployment.project, "name": deployment.name, "region": deployment.region}
    parts = [HEAD.format(**place), *_files(phases), (HERE / "patiently.sh").read_text("utf-8")]
    parts.append(FUNCTIONS.replace("PROJECT ", f"{deployment.project} "))
    for title, groups in phases.items():
        parts.append(f"\n# {title}\n")
        parts += (f"{line}\n" for steps in groups for step in steps for line in _lines(step))
    key = KEY.replace("=PROJECT", f"={deployment.project}").replace("SECRET", deployment.secret)
    return "".join([*parts, key.replace('"PROJECT ', f'"{deployment.project} ')])


def _files(phases: Mapping[str, Sequence[Sequence[Step]]]) -> Iterator[str]:
    """Yield the lines that write the files which the commands read."""
    flags = {
        word.partition("=")[2]
        for groups in phases.values()
        for steps in groups
        for step in steps
        for command in (step.command, *(() if step.command else step.updates(None)))
        for word in command
        if word.startswith(FILES)
    }
    for file in (TABLE, *(HERE / Path(flag).name for flag in sorted(flags))):
        content = file.read_text("utf-8").rstrip("\n")
        yield f"cat >\"${{folder}}/{file.name}\" <<'END'\n{content}\nEND\n"


def _lines(step: Step) -> Iterator[str]:
    """Yield the lines of a step: its commands, or those that create unless the resource exists."""
    yield f"echo {shlex.quote(step.name)}"
    commands = [step.command] if step.command else list(step.updates(None))
    if not step.describe or commands[0][0] == "beta" or CREATE not in commands[0]:
        for command in commands:
            yield from _renewed(command) if ENDS.search(" ".join(command)) else (_shown(command),)
        return
    yield f"if ! exists {_words(step.describe)}; then"
    if step.stdin:
        yield f"  input={shlex.quote(step.stdin)}"
    yield from (f"  {_shown(command)}" for command in commands)
    if step.stdin:
        yield "  input=''"
    again = list(_again(step, *commands)) if step.updates is not no_updates else []
    if again:
        yield "else"
        yield from (f"  {line}" for line in again)
    yield "fi"


def _again(step: Step, create: tuple[str, ...], *rest: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines that bring an existing resource up to date without a look at its settings."""
    match create[:3]:
        case ("iam", "roles", _):
            yield f"deleted=$({_shown((*step.describe, '--format=value(deleted)'))})"
            yield 'if [ "${deleted}" = True ]; then'
            role = create[3:5]
            yield f"  {_shown(('iam', 'roles', 'undelete', *role))}"
            yield "fi"
            yield _shown(("iam", "roles", UPDATE, *create[3:]))
        case ("storage", "buckets", _):
            bucket = create[3]
            look = (*step.describe[:4], "--format=value(projectNumber)", *step.describe[4:])
            yield f"owner=$({_shown(look)})"
            yield '[ "${owner}" = "${PROJECT_NUMBER}" ] ||'
            yield f'  stop "{bucket} belongs to the project ${{owner}}: choose another --name."'
            created_only = r"--(location|project)=.*|--lifecycle-file=.*ledger-lifecycle.json"
            flags = [word for word in create[4:] if not re.fullmatch(created_only, word)]
            yield _shown(("storage", "buckets", UPDATE, bucket, *flags))
        case ("artifacts", "repositories", _):
            yield from map(_shown, rest)


def _renewed(bind: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines that replace a binding that ends, unless it ends when it should."""
    project = bind[2]
    member = next(word for word in bind if word.startswith("--member="))
    role = next(word for word in bind if word.startswith("--role="))
    of = f"bindings.role={role.partition('=')[2]} AND bindings.members={member.partition('=')[2]}"
    look = ("projects", "get-iam-policy", project, "--flatten=bindings[]", f"--filter={of}")
    yield f"ends=$({_shown((*look, '--format=value(bindings.condition.expression)'))})"
    yield 'if [ "${ends}" != "request.time < timestamp(\\"${FIRST_DAYS_END}\\")" ]; then'
    yield '  if [ -n "${ends}" ]; then'
    remove = ("projects", "remove-iam-policy-binding", project, "--all", member, role)
    yield f"    {_shown(remove)}"
    yield "  fi"
    yield f"  {_shown(bind)}"
    yield "fi"


def _shown(command: Sequence[str]) -> str:
    return f"gcloud {_words(command)}"


def _words(command: Sequence[str]) -> str:
    """Return the words as sh reads them, with our variables and files in their places."""
    return " ".join(map(_word, command))


def _word(word: str) -> str:
    if word.startswith(FILES):
        return f'{word.partition("=")[0]}="${{folder}}/{Path(word).name}"'
    quoted = shlex.quote(ENDS.sub("FIRST_DAYS", word))
    ends = '\'"request.time < timestamp(\\"${FIRST_DAYS_END}\\")"\''
    number = f"'\"${{{NUMBER}}}\"'"
    if quoted == word or not quoted.startswith("'"):
        return quoted.replace(NUMBER, f'"${{{NUMBER}}}"').replace("FIRST_DAYS", ends.strip("'"))
    return quoted.replace(NUMBER, number).replace("FIRST_DAYS", ends)
