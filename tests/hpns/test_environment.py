"""Every variable that the code reads stands in .env.example and in docker-compose.yml, and the reverse."""

import ast
import re
from pathlib import Path

import pytest

from tests.stage import ROOT

CODE = sorted((ROOT / "hpns").glob("*.py"))
# Read by the code, and not for operators: what our own programs and the tests set, another spelling.
INTERNAL = {
    "HPNS_EMBEDDED",
    "READ_DOT_ENV",
    "SANDBOX_URL",
    "PYTEST_XDIST_WORKER",
    "DATABASE_ROLE",
    "DJANGO_SETTINGS_MODULE",
    "CELERY_SKIP_CHECKS",
    "HPNS_PAGES_SOCKET",
}
# The usual names of what has one of ours.
INTERNAL |= {"https_proxy", "no_proxy", "HTTP_PROXY", "http_proxy"}
# Not handed into containers: docker-compose.yml decides it (the address), or it is nothing for production.
NOT_IN_CONTAINERS = {"HOST", "PORT", "DEBUG", "REDIS_SOCKET"}


def read_by(source: str) -> set[str]:
    """The variables that a module reads, by its source: env.*("NAME"), secret("NAME"), os.environ.get("NAME")."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            found.add(ast.literal_eval(node.slice))
        if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
            continue
        called, name = ast.unparse(node.func), node.args[0].value
        if re.fullmatch(r"env\.\w+|os\.environ\.get|os\.getenv", called):
            found.add(name)
        elif called == "secret":
            found |= {name, f"{name}_FILE"}
    return found


def variables_in(text: str) -> set[str]:
    """The variables that an example file tells of: `# NAME=value` or `NAME=value` at the beginning of a line."""
    return set(re.findall(r"^(?:# )?([A-Za-z_]+)=", text, re.MULTILINE))


def handed_on_by(text: str) -> dict[str, str]:
    """The variables that a compose file hands to our own services, with their values.

    Its block `x-settings`, and `x-owner` for what only the tables' owner gets.
    """
    blocks = re.findall(r"^x-(?:settings|owner):.*\n((?:(?:  .*)?\n)*)", text, re.MULTILINE)
    assert blocks
    return dict(re.findall(r"^  ([A-Za-z_]+): *(.*)$", "".join(blocks), re.MULTILINE))


@pytest.fixture(scope="module")
def read() -> set[str]:
    """What the code reads."""
    return set().union(*(read_by(path.read_text(encoding="utf-8")) for path in CODE)) - INTERNAL


def test_the_example_tells_of_every_variable_that_is_read_and_of_no_other(read: set[str]) -> None:
    assert variables_in((ROOT / ".env.example").read_text(encoding="utf-8")) == read


def test_the_compose_file_hands_on_every_variable_that_is_read_and_no_other(read: set[str]) -> None:
    handed_on = set(handed_on_by((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))) - INTERNAL
    assert handed_on - read == set()
    # A secret comes as NAME or as NAME_FILE.
    either = {*handed_on, *(f"{name}_FILE" for name in handed_on), *(name.removesuffix("_FILE") for name in handed_on)}
    assert read - either - NOT_IN_CONTAINERS == set()


def test_every_variable_that_the_compose_file_takes_from_the_operator_is_in_the_example(read: set[str]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    taken = set(re.findall(r"(?<!\$)\$\{?([A-Za-z_]+)", text))
    assert taken
    assert taken <= read


def test_no_secret_stands_in_the_compose_file_or_in_the_example(read: set[str]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    secrets = {name.removesuffix("_FILE") for name in read if name.endswith("_FILE")} - {"TLS_CERT", "TLS_KEY"}
    secrets -= {"PROVIDER_CA"}
    assert secrets >= {"SECRET_KEY", "VAULT_KEYS", "HASH_KEY", "DATABASE_URL", "REDIS_URL"}
    assert {name: value for name, value in handed_on_by(text).items() if name in secrets and value} == {}
    assert not re.search(r"POSTGRES_PASSWORD:|requirepass [^$]", text)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        assert not re.match(rf"(# )?({'|'.join(secrets)})(_FILE)?=.", line), line


def test_the_tests_above_notice_a_variable_that_only_one_side_knows(tmp_path: Path) -> None:
    """The guard of the guards: each way of reading and of telling is seen."""
    source = 'import os\nA = env.str("A")\nB = secret("B")\nC = key("C", secret("C"))\nD = os.environ.get("D", "")\n'
    assert read_by(source + 'E = os.environ["E"]\nF = os.getenv("F")\n') == {
        *("A", "B", "B_FILE", "C", "C_FILE", "D", "E", "F")
    }
    assert variables_in("# A word about it = this\n# A=1\nB=2\n#C=3\n") == {"A", "B"}
    text = "x-settings: &s\n  # C: no\n  A: 1\n\n  B:\nservices:\n  web:\n    environment:\n      D: 1\n"
    assert handed_on_by(text) == {"A": "1", "B": ""}
