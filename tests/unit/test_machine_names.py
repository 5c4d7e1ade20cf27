"""Names of machines and of other resources, as people and other programs write them."""

from typing import Any

import pytest

from shared.core.ports import CustomJobCall
from shared.runspec.forms import guesses, hardware


@pytest.mark.parametrize(
    ("name", "sizes", "included", "tpu"),
    [
        ("a2-highgpu-3g", tuple(f"a2-highgpu-{size}g" for size in (1, 2, 4, 8)), ("NVIDIA_TESLA_A100", 3), ""),
        ("a2-highgpu-8g", (), ("NVIDIA_TESLA_A100", 8), ""),
        ("n1-highcpu-1", tuple(f"n1-highcpu-{size}" for size in (2, 4, 8, 16, 32, 64, 96)), None, ""),
        ("a4x-highgpu-4g", (), ("NVIDIA_GB200", 4), ""),
        ("g2-standard-24", (), ("NVIDIA_L4", 2), ""),
        ("g2-standard-24x", (), None, ""),
        ("g4-standard-384", (), ("NVIDIA_RTX_PRO_6000", 8), ""),
        ("e2-standard-4", (), None, ""),
        ("Cloud TPU v3 podslice 32", (), None, "cloud-tpu"),
        ("tpu_v5lite", (), None, "ct5lp-hightpu-4t"),
        ("v7x-8", (), None, "tpu7x-standard-4t"),
        ("av6e", (), None, ""),
    ],
)
def test_the_names_of_machines_are_read(
    name: str, sizes: tuple[str, ...], included: tuple[str, int] | None, tpu: str
) -> None:
    """By their series and their size, and those of Cloud TPU."""
    assert (hardware.sizes(name), hardware.included(name), hardware.tpu_machine(name)) == (sizes, included, tpu)


@pytest.mark.parametrize(
    ("guess", "written", "meant"),
    [
        (guesses.machine, "ZONES/a/Ct6E", "ct6e-standard-4t"),
        (guesses.machine, "C4A_standard_8", "c4a-standard-8"),
        (guesses.machine, "abc1-standard", ""),
        (
            guesses.reservation,
            " //x/projects/p/zones/z/reservations/r/reservationBlocks/b ",
            "projects/p/zones/z/reservations/r/reservationBlocks/b",
        ),
        (guesses.reservation, "r", ""),
        (guesses.account, "user:Me@X.test", "me@x.test"),
        (guesses.last_part, "ID", "id"),
        (guesses.lower, "A_b C", "a-b-c"),
        (guesses.dotted, " Example.COM.. ", "example.com."),
    ],
)
def test_the_value_that_was_meant_is_guessed(guess: Any, written: str, meant: str) -> None:
    """From the form of another program."""
    assert guess(written, CustomJobCall("p", "r", {}, {})) == meant
