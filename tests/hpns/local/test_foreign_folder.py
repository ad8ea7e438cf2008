"""A folder that holds something else is not made into a state folder."""

from pathlib import Path

import pytest

from hpns.local.problem import ProblemError
from hpns.local.run import refuse_foreign


def test_a_folder_with_somebodys_things_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("x")
    with pytest.raises(ProblemError, match=r"holds something else.*--state"):
        refuse_foreign(tmp_path)


@pytest.mark.parametrize("left", ["lock", "secrets.json"])
def test_what_an_earlier_start_left_is_taken_up(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_text("")
    (tmp_path / "thesis.odt").write_text("x")
    refuse_foreign(tmp_path)


def test_an_empty_folder_and_none_are_fine(tmp_path: Path) -> None:
    refuse_foreign(tmp_path)
    refuse_foreign(tmp_path / "new")
