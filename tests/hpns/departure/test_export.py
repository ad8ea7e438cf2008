"""A customer takes along what it owns: all of it, nobody else's, and no secret."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.utils.html import escape

from delivery.models import CustomerCounts
from hpns.departure.export import writing
from hpns.departure.export.kinds import KINDS, LEFT_OUT, MODELS_LEFT_OUT
from tenants import fence
from tenants.models import AuditEvent, Credential, Invitation, ServerKey
from tests.browsing import Browser, Tenant
from tests.log_as_text import LOG_COLUMNS
from tests.tenants.two_customers import TABLES, Cast, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
ADDRESS = "/c/acme/settings/export/"


@pytest.fixture
def cast(valkey: redis.Redis) -> Cast:
    return two_customers()


def download(cast: Cast) -> bytes:
    """As Ada gets it from the page, whose role the database binds."""
    return Browser().enter(cast.ada).body(ADDRESS, "POST")


def unpacked(archive: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name).decode() for name in opened.namelist()}


def lines(archive: bytes, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in unpacked(archive)[file].splitlines()]


def deliver(one: Tenant, count: int, at: str = "now()") -> None:
    """Rows of the delivery log of one moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO delivery_delivery ({LOG_COLUMNS}) SELECT 'more-' || n, {at}, now(), %s, %s, %s, NULL, "  # noqa: S608
            "'p', 't', '', 'a', 'm', md5(n::text), 1, 'sent', 'ok', 'OK', 'ours', true, '[]', NULL, 1 "
            "FROM generate_series(1, %s) n",
            [one.customer.pk, one.server.pk, one.key.pk, count],
        )


def test_the_archive_holds_what_is_the_customers_and_nothing_else(cast: Cast) -> None:
    archive = download(cast)
    files = unpacked(archive)
    assert list(files) == ["README.txt", *(kind.file for kind in KINDS)]
    for kind in KINDS:
        found = lines(archive, kind.file)
        extra = kind.file == "audit_log.jsonl"  # the export itself
        left_out = issubclass(kind.model, CustomerCounts)  # the sums of what is told apart
        assert len(found) == TABLES.get(kind.model._meta.db_table, 1) + extra - left_out, kind.file
        assert all(list(line) == [field.name for field in kind.fields] for line in found), kind.file
    assert "Cosmos" not in "".join(files.values())
    assert "cosmos" not in "".join(files.values())
    assert {line["email"] for line in lines(archive, "people.jsonl")} == {
        *("owner-acme@acme.example", "viewer-acme@acme.example")
    }
    assert lines(archive, "deliveries.jsonl")[0]["trace"] == "trace-Acme"
    assert lines(archive, "audit_log.jsonl")[-1]["action"] == "customer.export"


def test_no_secret_no_digest_and_nothing_sealed_is_in_it(cast: Cast) -> None:
    Credential.objects.filter(app__customer=cast.acme.customer).update(sealed="v1:the-sealed-secret")
    cast.ada.password = "the-hashed-password"
    cast.ada.save()
    ServerKey.objects.filter(pk=cast.acme.key.pk).update(digest=b"the-digest-of-the-key-of-acme..!")
    Invitation.objects.filter(customer=cast.acme.customer).update(digest=b"the-digest-of-the-invitation...!")
    text = "".join(unpacked(download(cast)).values())
    assert '"prefix": "Acme0000"' in text
    for secret in ("the-sealed", "the-hashed", "the-digest"):
        assert secret not in text
        assert secret.encode().hex() not in text


def test_each_field_of_a_customers_rows_is_in_the_archive_or_left_out_for_a_reason() -> None:
    exported = {kind.model.__name__ for kind in KINDS}
    assert exported | set(MODELS_LEFT_OUT) == {model.__name__ for model in fence.tenant_models()}
    assert not exported & set(MODELS_LEFT_OUT)
    for kind in KINDS:
        # A field of another row, such as user__email, stands for the key that leads there.
        sources = {field.source.partition("__")[0] for field in kind.fields}
        named = sources | {source.removesuffix("_id") for source in sources}
        columns = {field.name for field in kind.model._meta.get_fields() if isinstance(field, models.Field)}
        out = {name for model, name in LEFT_OUT if model == kind.model.__name__}
        assert columns - named == out, kind.file


def test_the_readme_says_what_each_file_and_field_is_and_what_is_not_there(cast: Cast) -> None:
    text = unpacked(download(cast))["README.txt"]
    for kind in KINDS:
        assert kind.file in text
        assert all(f"  {field.name} " in text and field.description in text for field in kind.fields)
    assert "Not in here: the keys of your servers" in text


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_it_is_read_piece_by_piece_without_losing_or_doubling_a_row(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    deliver(cast.acme, 6)
    monkeypatch.setattr(writing, "BATCH_SIZE", size)
    archive = download(cast)
    found = [line["trace"] for line in lines(archive, "deliveries.jsonl")]
    assert sorted(found) == sorted({"trace-Acme", *(f"more-{number}" for number in range(1, 7))})
    assert len(lines(archive, "people.jsonl")) == 2


def test_receipts_are_read_piece_by_piece_too(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_receipt SELECT (jsonb_populate_record(r, jsonb_build_object('id', r.id || n))).* "
            "FROM delivery_receipt r, generate_series(1, 5) n"
        )
    monkeypatch.setattr(writing, "BATCH_SIZE", 2)
    found = lines(download(cast), "receipts.jsonl")
    assert sorted(line["id"] for line in found) == ["receipt-Acme", *(f"receipt-Acme{n}" for n in range(1, 6))]
    assert {line["trace"] for line in found} == {"trace-Acme"}


def test_a_long_log_is_never_in_memory_as_a_whole(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(cast.acme, 4_000)
    monkeypatch.setattr(writing, "BATCH_SIZE", 100)
    pieces = list(writing.export(cast.acme.customer))
    assert max(map(len, pieces)) < sum(map(len, pieces)) / 3
    assert len(lines(b"".join(pieces), "deliveries.jsonl")) == 4_001


def test_the_page_says_what_it_holds_and_downloads_nothing_by_itself(cast: Cast) -> None:
    ada = Browser().enter(cast.ada)
    text = ada.get(ADDRESS).content.decode()
    assert all(f"<dt><code>{kind.file}</code></dt><dd>{escape(kind.description)}</dd>" in text for kind in KINDS)
    assert not AuditEvent.objects.filter(action="customer.export").exists()
    answer = ada.post(ADDRESS)
    assert answer["Content-Disposition"] == 'attachment; filename="acme.zip"'
    event = AuditEvent.objects.get(action="customer.export")
    assert (event.actor, event.customer_id) == (cast.ada.email, cast.acme.customer.pk)


# --- manage.py customer export


def command(*words: str) -> Any:
    out = io.StringIO()
    call_command("customer", "export", "--slug", "acme", *words, stdout=out)
    return json.loads(out.getvalue())


def test_the_command_writes_the_same_to_a_file_for_nobody_else(cast: Cast, tmp_path: Path) -> None:
    file = tmp_path / "acme.zip"
    report = command("--out", str(file))
    assert (report["file"], report["bytes"]) == (str(file), file.stat().st_size)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(lines(file.read_bytes(), "people.jsonl")) == 2
    assert "Cosmos" not in "".join(unpacked(file.read_bytes()).values())
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(CommandError, match="is there already"):
        command("--out", str(file))
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        command("--out", str(tmp_path / "nowhere" / "acme.zip"))


def test_an_archive_that_broke_off_is_no_file(cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH_SIZE", -1)  # which Django refuses
    with pytest.raises(ValueError, match="Negative"):
        command("--out", str(tmp_path / "acme.zip"))
    assert list(tmp_path.iterdir()) == []
