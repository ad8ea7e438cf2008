"""No cell of a download is a formula for a spreadsheet, whatever separates cells where that is opened."""

import csv
import io

import pytest

from tenants.pages.csv_lines import FORMULA, escape_formula, lines

HOSTILE = ["=1+1", "a;=1+1", 'a; "=1+1', "a,@SUM(1)", "a|-1", "a\t+1", "a\n=1", "x\r＝1"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("separator", [";", ",", "|", "\t", "\n", "\r"])
def test_a_name_is_no_formula_whatever_separates_cells(name: str, separator: str) -> None:
    for cell in escape_formula(name).split(separator):
        assert not cell.strip(' "').startswith(FORMULA), cell


@pytest.mark.parametrize("name", ["Acme", "a-b", "1+1=2", "ada@example.com", "a; b", ""])
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert escape_formula(name) == name


def test_lines_are_read_back_with_as_many_cells() -> None:
    [[first, second]] = csv.reader(io.StringIO(lines([["a;=1+1", None]]).decode()))
    assert (first, second) == ("a;'=1+1", "")
