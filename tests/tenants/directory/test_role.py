"""The directory's own role in PostgreSQL reads all of it and nothing else, and writes nothing."""

import pytest
from django.db import ProgrammingError, connection, transaction

from tenants.directory import fingerprints, reading
from tests.roles import DIRECTORY, acting_as
from tests.tenants.conftest import Acme

pytestmark = pytest.mark.django_db


def test_the_directorys_role_reads_the_whole_directory(acme: Acme) -> None:
    known, marks = reading.read(1), fingerprints.read()
    assert (known.keys, known.apps) != ({}, [])
    with acting_as(DIRECTORY):
        read = reading.read(1)
        assert (read.keys, read.apps, read.listed) == (known.keys, known.apps, known.listed)
        part = reading.read_part(0, 1, [acme.customer.pk], [acme.key.pk], ["s1"])
        assert part.keys == known.keys
        assert fingerprints.read() == marks


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_serverkey SET prefix = ''",
        "DELETE FROM tenants_credential",
        "INSERT INTO tenants_site DEFAULT VALUES",
        "SELECT 1 FROM delivery_delivery",
        "SELECT 1 FROM auth_user",
        "SELECT 1 FROM tenants_auditevent",
    ],
)
def test_the_directorys_role_may_do_nothing_else(statement: str) -> None:
    with (
        acting_as(DIRECTORY),
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
