"""`python -m tests.fuzz.bounded TARGET`: run a target's known large inputs within resource limits.

Linux ends the process if it exceeds the target's memory or CPU, so no clock is involved.
"""

import json
import logging
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shared.config.yaml_file import MAX_BYTES as MAX_FILE
from shared.core.errors import Reject
from shared.core.intake import from_item
from shared.core.message import MAX_BYTES as MAX_MESSAGE
from shared.runspec.model import Draft
from shared.runspec.render import render
from tests.fuzz import targets
from tests.unit.specs import SITE, put, run_spec

TEN_MB = 10_000_000
VERTEX = ("resource_args", "gcp-vertex")
POOL = (*VERTEX, "spec", "worker_pool_specs", 0)
LIMITS = {  # for all inputs of a target: megabytes beyond the program's own, and CPU seconds
    "decoder": (300, 60),
    "renderer": (1200, 120),
    "launch_config": (400, 60),
    "hungry": (300, 60),
    "busy": (300, 1),
}


def documents(size: int) -> Iterator[bytes]:
    """Yield valid and invalid JSON of about this size, large in every respect."""
    yield b'"' + b"x" * size + b'"'
    yield b"[" + b"1," * (size // 10) + b"1]"
    yield b"[" * (size // 10)
    yield b'{"a":' * (size // 10)
    yield b'"' * size
    yield b"9" * size
    yield b"[" + b"{}," * (size // 3 - 1) + b"{}]"
    yield b"{" + b",".join(b'"%d":1' % number for number in range(size // 10)) + b"}"
    yield b'{"' + b"x" * size + b'":1}'


def messages() -> Iterator[bytes]:
    """Yield documents of ten million bytes, and requests of the largest size of a message."""
    yield from documents(TEN_MB)
    yield b'{"kind":"' + b"x" * (MAX_MESSAGE - 20) + b'"}'
    asks = b'{"kind":"request","source":"a","idempotency_key":"b","run_spec":{"a":%s}}'
    for document in documents(MAX_MESSAGE - 200):
        yield asks % document


def run_specs() -> Iterator[dict[str, Any]]:
    """Yield run specs with ten million bytes in one place, and specs that multiply their content."""
    objects, text = "[" + "{}," * (TEN_MB // 3) + "{}]", "x" * TEN_MB
    many, named = {str(number): 1 for number in range(TEN_MB // 15)}, "${run_name}" * (TEN_MB // 11)
    for place, value in (
        (("overrides", "run_config"), {text: 1}),
        (("name",), text),
        ((*VERTEX, "spec"), {text: 1}),
        ((*VERTEX, "spec", "labels"), many),
        ((*VERTEX, "spec", "labels"), {text: 1}),
        ((*VERTEX, "run", "timeout"), "9" * TEN_MB),
        ((*VERTEX, "run", "scheduling_strategy"), text),
        ((*POOL, "machine_spec"), {text: 1}),
        ((*POOL, "container_spec", "env"), json.loads(objects)),
        ((*POOL, "container_spec", "image_uri"), "${" + text + "}"),
        ((*VERTEX, "spec", "display_name"), named),
    ):
        yield put(run_spec(name="n" * 1000), place, value)
    pools = [{"container_spec": {"image_uri": "x"}}] * 200_000
    yield put(run_spec(overrides={"args": ["a"] * 1_000_000}), (*VERTEX, "spec", "worker_pool_specs"), pools)


def launch_configs() -> Iterator[bytes]:
    """Yield large files, and small files that expand."""
    for size in (MAX_FILE - 20, TEN_MB):
        yield from documents(size)
        yield b"a: &a [*a]\n" + b"- " * (size // 2)
        yield b"? " * (size // 2)
        yield b"max_jobs: " + b"1:" * (size // 2 - 50) + b"1.5"
        yield b"max_jobs: " + b"1:" * (size // 2 - 50) + b"1"
        yield b"max_jobs: 0x" + b"f" * (size - 50)
        yield b"policy: {images: ['" + b"a." * (size // 2 - 50) + b" ']}"
        yield b"queues: [" + b"1," * (size // 2 - 50) + b"]"
        yield b"policy: {" + b"k" * (size - 50) + b": 1}"
        yield b"a: !" + b"t" * (size - 50) + b" x"
    for line in ("&a{n} [{refs}]", "&a{n} {{<<: [{refs}]}}"):  # "billion laughs", by reference and by merge
        lines = [
            f"a{number}: " + line.format(n=number, refs=", ".join([f"*a{number - 1}"] * 10)) for number in range(1, 10)
        ]
        yield "\n".join(["a0: &a0 {x: 1}", *lines, "queues: *a9", "environment: *a9", "policy: *a9"]).encode()
    most = "".join(f"k{number}: 1, " for number in range(8_000))
    yield f"a: &a {{{most}}}\nb: &b {{<<: [*a, *a, *a]}}\nc: &c {{<<: [*b, *b, *b]}}\nd: {{<<: [*c, *c, *c]}}".encode()


def _rendered(spec: dict[str, Any]) -> None:
    """Create a launch and render it, as poll and submit do, without the target's comparisons."""
    try:
        render(Draft.of(from_item("item", targets.QUEUE, spec, targets.NOW)), SITE, targets.names())
    except Reject as refusal:
        targets.refused(refusal)


def _hungry(_: None) -> None:
    list(range(100_000_000))


def _busy(_: None) -> None:
    while True:
        pass


RUNS: dict[str, tuple[Callable[[Any], object], Callable[[], Iterator[Any]]]] = {
    "decoder": (targets.decoder, messages),
    "renderer": (_rendered, run_specs),
    "launch_config": (targets.launch_config, launch_configs),
    "hungry": (_hungry, lambda: iter([None])),
    "busy": (_busy, lambda: iter([None])),
}


def main(name: str) -> None:
    """Run all inputs of a target; print their number, CPU seconds and memory."""
    target, inputs = RUNS[name]
    if name == "renderer":
        targets.names()  # its import does not count
    megabytes, seconds = LIMITS[name]
    now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 1_000_000,) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(before.ru_utime + before.ru_stime) + 1 + seconds,) * 2)
    count = 0
    for one in inputs():
        target(one)
        count += 1
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    grown = (after.ru_maxrss - before.ru_maxrss) // 1000
    sys.stdout.write(f"{name}: {count} inputs, {cpu:.1f} s of CPU, at most {grown} MB more\n")


if __name__ == "__main__":
    logging.disable()  # an unknown key is logged
    main(sys.argv[1])
