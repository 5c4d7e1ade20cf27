"""The tables of the values of a CustomJob, from the forms and the hardware that submit checks."""

from deploy.reference.markdown import code, table
from shared.runspec.forms import FORMS, Form
from shared.runspec.forms.hardware import MACHINE_TYPES, TOPOLOGIES, accelerators


def values_tables() -> str:
    """Return the table of fields, and that of machine types with accelerators."""
    fields = table(
        ("field", "write", "example", "source"),
        ((code(form.path), _text(form), _example(form), _sources(form)) for form in FORMS),
    )
    gpus = table(("machine type", "accelerators, with their counts"), map(_machine, MACHINE_TYPES))
    tpus = table(
        ("machine type", "`tpu_topology`"),
        ((code(name), ", ".join(known)) for name, known in TOPOLOGIES.items()),
    )
    return f"{fields}\n## Machine types and accelerators\n\n{gpus}\n{tpus}"


def _machine(name: str) -> tuple[str, str]:
    known = accelerators(name) or {}
    counts = (f"{code(kind)} {', '.join(map(str, number))}" for kind, number in known.items())
    return code(name), "; ".join(counts)


def _text(form: Form) -> str:
    return f"{form.write}. {form.note}".strip().replace("..", ".")


def _example(form: Form) -> str:
    return code(form.example) if form.example else ""


def _sources(form: Form) -> str:
    """Return the sources as links; the SDK's names as code."""
    shown = []
    for source in form.source.split("; "):
        kind, _, name = source.partition(": ")
        shown.append(f"SDK: {code(name)}" if kind == "SDK" else _link(source))
    return ", ".join(shown)


def _link(source: str) -> str:
    page = source.rstrip("/").rpartition("/")[2]
    return f"[{page}]({source})" if source.startswith("https://") else source
