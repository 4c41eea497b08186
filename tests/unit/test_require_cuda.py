"""NVIDIA_REQUIRE_CUDA is judged as the container toolkit does it: a space is "or", a comma is "and"."""

from __future__ import annotations

import pytest

from wxops.audit.require_cuda import Given, brands, parse
from wxops.audit.versions import Version

# The variable of nvidia/cuda:13.0.1-base-ubuntu24.04, shortened.
CUDA_13 = (
    "cuda>=13.0 brand=unknown,driver>=535,driver<536 "
    "brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=570,driver<571"
)


def given(cuda: str, driver: str, *names: str) -> Given:
    return Given(Version(cuda), Version(driver), names, Version("9.0"))


@pytest.mark.parametrize(
    ("text", "host", "holds"),
    [
        (CUDA_13, given("13.0", "580.159.04", "nvidia"), True),
        (CUDA_13, given("12.8", "570.211.01", "nvidia"), True),
        (CUDA_13, given("12.2", "535.288.01", "tesla"), True),
        (CUDA_13, given("12.2", "535.288.01", "geforce"), False),
        (CUDA_13, given("12.4", "550.163.01", "tesla"), False),
        ("cuda>=13.3", given("13.0", "580.159.04"), False),
        ("cuda>=12.8,arch>=9.0", given("13.0", "580.159.04"), True),
        ("cuda>=12.8,arch>=10.0", given("13.0", "580.159.04"), False),
        ("cuda=13.0", given("13.0", "580.159.04"), True),
        ("driver!=580.159.04", given("13.0", "580.159.04"), False),
        ("brand!=geforce", given("13.0", "580.159.04", "tesla"), True),
        ("cuda>=12.8", Given(None, None), False),
    ],
)
def test_a_requirement_holds_when_one_of_its_alternatives_does(text: str, host: Given, holds: bool) -> None:
    assert parse(text).holds(host) is holds


def test_the_cuda_release_that_is_enough_by_itself_is_told() -> None:
    assert str(parse(CUDA_13).cuda) == "13.0"
    assert parse("brand=tesla,driver>=535").cuda is None


def test_a_clause_that_is_none_is_said() -> None:
    with pytest.raises(ValueError, match="'cuda13' is not cuda, driver, brand or arch compared"):
        parse("cuda13")


@pytest.mark.parametrize(
    ("name", "brand"),
    [
        ("NVIDIA GeForce RTX 4090", "geforce"),
        ("Quadro RTX 6000", "quadrortx"),
        ("NVIDIA RTX A6000", "nvidiartx"),
        ("Tesla T4", "tesla"),
        ("NVIDIA H100 80GB HBM3", "nvidia"),
    ],
)
def test_a_gpu_goes_by_the_brand_of_its_name(name: str, brand: str) -> None:
    assert brand in brands(name)
