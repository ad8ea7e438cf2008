"""The names of metrics: the type that mypy holds callers to is the table, and refuses what is not in it."""

import subprocess
import sys
from typing import get_args

import pytest

from delivery.metrics.names import METERS, REQUEST_DURATION, MetricName
from tests.stage import ROOT


def test_the_type_has_the_names_of_the_table_and_those_of_each_provider_are_beside_it() -> None:
    assert [*get_args(MetricName), *REQUEST_DURATION.values()] == list(METERS)


@pytest.mark.parametrize(("name", "code"), [("hpns_accepted_total", 0), ("hpns_acepted_total", 1)])
def test_a_name_that_is_not_in_the_table_is_an_error_of_types(name: str, code: int) -> None:
    program = f"from delivery.metrics.names import MetricName\nname: MetricName = {name!r}\n"
    command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--follow-imports=silent", "-c", program]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == code, result.stdout + result.stderr
    assert ("Incompatible types in assignment" in result.stdout) == bool(code)
