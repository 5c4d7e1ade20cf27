"""The commands and exit codes, from click."""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping

import click

from deploy.__main__ import EXIT_CODES, GROUPS, main
from deploy.operate.fleet.fields import OF_A_LAUNCH, OF_A_STORY
from deploy.reference.markdown import code, table

SHARED_BY = 3  # commands that make an option a shared one
PROGRAM = "vertex-launch"
JSON = """## JSON of a launch

`ls --json` prints these fields for each launch. Null stands for what is unknown or does not
apply. Times are in ISO 8601 and UTC.

"""
MORE = "`show --json` prints the whole `reason`, and adds:\n\n"
Option = tuple[str, str]


def commands_page() -> str:
    """Return the commands by group, their options, and the exit codes."""
    with click.Context(main, info_name=PROGRAM) as context:
        contexts = {
            name: click.Context(command, info_name=name, parent=context)
            for name in main.list_commands(context)
            if (command := main.get_command(context, name))
        }
    counts = Counter(option for each in contexts.values() for option in _options(each))
    shared = [option for option, count in counts.items() if count >= SHARED_BY]
    parts = [_overview(contexts)]
    parts += [_section(name, context, shared) for name, context in contexts.items()]
    parts.append("## Options of a deployment\n\n" + _table_of(shared))
    parts.append(JSON + table(("field", "meaning"), _fields(OF_A_LAUNCH)))
    parts.append(MORE + table(("field", "meaning"), _fields(OF_A_STORY)))
    codes = [(str(number), meaning) for number, meaning in EXIT_CODES.items()]
    parts.append("## Exit codes\n\n" + table(("code", "meaning"), codes))
    return "\n".join(parts)


def _fields(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(code(name), meaning) for name, meaning in fields.items()]


def _overview(contexts: dict[str, click.Context]) -> str:
    rows = []
    for group, names in GROUPS.items():
        for name in names:
            help_text = contexts[name].command.get_short_help_str(200)
            rows.append((group, f"[{code(name)}](#{name})", help_text))
    return table(("when", "command", "what it does"), rows)


def _section(name: str, context: click.Context, shared: list[Option]) -> str:
    usage = " ".join(context.command.collect_usage_pieces(context))
    text = f"## {name}\n\n```sh\n{PROGRAM} {name} {usage}\n```\n\n"
    text += "\n".join(f"{paragraph}\n" for paragraph in _paragraphs(context.command.help or ""))
    options = list(_options(context))
    own = [option for option in options if option not in shared]
    if own:
        text += "\n" + _table_of(own)
    if len(own) < len(options):
        text += "\nIt also takes the [options of a deployment](#options-of-a-deployment).\n"
    return text


def _options(context: click.Context) -> Iterator[Option]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record and "--help" not in parameter.opts:
            yield record


def _table_of(options: list[Option]) -> str:
    return table(("option", "meaning"), [(code(names), meaning) for names, meaning in options])


def _paragraphs(help_text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; click does not wrap those after a backspace."""
    for paragraph in inspect.cleandoc(help_text).split("\n\n"):
        lines = paragraph.strip("\n").splitlines()
        if lines and lines[0].strip() == "\b":
            yield "\n".join(["```text", *lines[1:], "```"])
        else:
            yield " ".join(line.strip() for line in lines)
