"""README.md, ARCHITECTURE.md, CONTRIBUTING.md and docs/ name only what there is: files, commands and their options."""

import re
import shlex

import pytest
from django.core.management import get_commands, load_command_class

from tests.stage import ROOT
from tests.test_house import APPS

DOCUMENTS = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"),
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
# Made by a start or by the operator.
MADE = {".state", ".state/env", ".venv", "secrets/metrics_token"}


def files_named_in(text: str) -> set[str]:
    """The paths in code spans and links: with a slash or an ending, without blanks, relative."""
    spans = re.findall(r"`([^`\s]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)) + re.findall(
        r"\]\((\S+?)\)", text
    )
    found = {span.rstrip("/") for span in spans if re.fullmatch(r"\.?[\w-]+(/[\w.-]+)*(\.\w+|/)", span)}
    return {
        name for name in found if "/" in name or (ROOT / name).suffix in (".md", ".toml", ".in", ".lock", ".example")
    }


def commands_in(text: str) -> list[list[str]]:
    """The words of each of our management commands in it."""
    nouns = "|".join(name for name, app in get_commands().items() if app in APPS)
    return [shlex.split(line, comments=True) for line in re.findall(rf"manage ((?:{nouns}) [^`\n]+)", text)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    named = files_named_in((ROOT / document).read_text(encoding="utf-8"))
    assert named
    places = (ROOT, (ROOT / document).parent)  # a link is relative to its page
    assert {name for name in named - MADE if not any((place / name).exists() for place in places)} == set()


def test_every_management_command_in_them_can_be_read_by_its_parser() -> None:
    commands = [words for name in DOCUMENTS for words in commands_in((ROOT / name).read_text(encoding="utf-8"))]
    assert len(commands) >= 40
    for noun, *arguments in commands:
        parser = load_command_class(get_commands()[noun], noun).create_parser("manage.py", noun)
        parser.parse_args(arguments)


def test_the_tests_above_notice_what_is_not_there() -> None:
    """The guard of the guards."""
    assert files_named_in("see `delivery/nowhere.py` and [this](LOST.md), not `x.y` or `a b.py`") == {
        *("delivery/nowhere.py", "LOST.md")
    }
    (words,) = commands_in("    manage app add --label a --topic b.c --colour red\n")
    with pytest.raises(Exception, match="colour"):
        load_command_class("tenants", "app").create_parser("manage.py", "app").parse_args(words[1:])
