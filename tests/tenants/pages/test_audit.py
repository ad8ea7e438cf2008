"""The page of a customer's audit log, and the log as CSV."""

import csv
import io

import pytest

from tenants.audit import recording
from tenants.pages.csv_lines import lines
from tests.tenants.conftest import Cast

pytestmark = pytest.mark.django_db
AUDIT = "/c/acme/audit/"


def record_events(cast: Cast, count: int, action: str = "key.add") -> None:
    for number in range(count):
        recording.record(action, customer=cast.acme.customer, target=f"{action} {number:03}")
    recording.record("key.add", customer=cast.cosmos.customer, target="not Acme's")
    recording.record("settings.change", customer=None, target="the operator's")


def test_the_log_is_read_page_by_page_the_newest_first(cast: Cast) -> None:
    record_events(cast, 120)
    seen, address = [], AUDIT
    while address:
        text = cast.ben.get(address).content.decode()
        seen += [cell.partition("<")[0] for cell in text.split('data-label="On">')[1:]]
        _, _, rest = text.partition('<a class="button" rel="next" href="')
        address = AUDIT + rest.partition('"')[0].replace("&amp;", "&") if rest else ""
    assert seen == [f"key.add {number:03}" for number in reversed(range(120))]


def test_an_older_page_of_the_log_leads_back_to_the_newest_of_the_same_kind(cast: Cast) -> None:
    record_events(cast, 51)
    first = cast.ben.get(f"{AUDIT}?action=key.add").content.decode()
    assert ">Newest<" not in first
    older = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert '<a class="button" href="?action=key.add">Newest</a>' in cast.ben.get(AUDIT + older).content.decode()


def test_the_log_can_be_narrowed_to_an_action_or_to_a_noun(cast: Cast) -> None:
    record_events(cast, 1, "key.add")
    record_events(cast, 1, "key.revoke")
    record_events(cast, 1, "server.add")
    for chosen, shown in (("key", {"add", "revoke"}), ("key.revoke", {"revoke"}), ("", {"add", "revoke", "server"})):
        text = cast.ben.get(f"{AUDIT}?action={chosen}").content.decode().partition("<tbody>")[2]
        words = {"add": "key.add 000", "revoke": "key.revoke 000", "server": "server.add 000"}
        assert {name for name, word in words.items() if word in text} == shown


def test_the_log_says_in_words_what_was_done_and_is_narrowed_by_them(cast: Cast) -> None:
    record_events(cast, 1, "key.revoke")
    record_events(cast, 1, "key.add")
    record_events(cast, 1, "of.old")
    text = cast.ben.get(f"{AUDIT}?action=key.revoke").content.decode()
    assert '<option value="key.revoke" selected>Revoked a key</option>' in text
    choices = [option.partition("<")[0].partition(">")[2] for option in text.split('<option value="')[1:]]
    assert choices == ["Everything", "Made a key", "of.old", "Revoked a key"]
    assert "Only: Revoked a key" in text
    assert text.count('<td data-label="What">Revoked a key</td>') == 1
    assert 'data-label="What">Made a key' not in text


def test_the_log_can_be_taken_along_as_soon_as_there_is_an_entry(cast: Cast) -> None:
    assert "audit.csv" not in cast.ada.get(AUDIT).content.decode()
    record_events(cast, 1)
    assert "audit.csv" in cast.ada.get(AUDIT).content.decode()
    assert "audit.csv" not in cast.ada.get(f"{AUDIT}?action=server").content.decode()
    assert "audit.csv" not in cast.ben.get(AUDIT).content.decode()


@pytest.mark.parametrize("path", [f"{AUDIT}?action=%00", f"{AUDIT}?x=1&action=key%00", "/c/acme/servers/%00/"])
def test_what_no_database_can_look_for_is_not_found(cast: Cast, path: str) -> None:
    assert cast.ada.get(path).status_code == 404


@pytest.mark.parametrize("before", ["0001-01-01T00:00:00+23:59~1", "9999-12-31T23:59:59-23:59~1"])
def test_a_place_beyond_the_calendar_is_the_beginning(cast: Cast, before: str) -> None:
    record_events(cast, 1)
    assert "key.add 000" in cast.ben.get(AUDIT, {"before": before}).content.decode()


@pytest.mark.parametrize("before", ["x", "~", "2026-01-01~1", "2026-01-01T00:00:00+00:00~-1", "~" + "9" * 30, "%00~1"])
def test_a_place_that_is_none_is_the_beginning(cast: Cast, before: str) -> None:
    record_events(cast, 1)
    assert "key.add 000" in cast.ben.get(AUDIT, {"before": before}).content.decode()


def test_what_stands_in_the_log_is_escaped(cast: Cast) -> None:
    recording.record("key.add", customer=cast.acme.customer, target="<script>1</script>", note="<script>2</script>")
    text = cast.ben.get(AUDIT).content.decode()
    assert "&lt;script&gt;1" in text
    assert "&lt;script&gt;2" in text
    assert "<script>" not in text


def test_the_whole_log_is_taken_along_as_csv(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.pages.audit.CHUNK_SIZE", 7)
    record_events(cast, 20)
    rows = list(csv.reader(io.StringIO(cast.ada.body("/c/acme/audit.csv").decode())))
    assert rows[0] == ["time", "by", "capacity", "address", "action", "target", "details", "words"]
    assert [row[5] for row in rows[1:]] == ["Acme", *(f"key.add {number:03}" for number in reversed(range(20)))]
    assert (rows[1][4], rows[1][7]) == ("audit.export", "Downloaded the audit log")
    narrowed = cast.ada.body("/c/acme/audit.csv?action=audit").decode()
    assert narrowed.count("\n") == 3


def test_what_comes_in_pieces_is_not_packed_piece_by_piece(cast: Cast) -> None:
    # Browsers read the first pack alone; what comes whole is packed.
    headers = {"Accept-Encoding": "gzip"}
    assert cast.ada.get("/c/acme/audit.csv", headers=headers)["Content-Encoding"] == "identity"
    assert cast.ada.get(AUDIT, headers=headers)["Content-Encoding"] == "gzip"


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    for text in ("=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=1", "＝1", "＠x"):
        (row,) = csv.reader(io.StringIO(lines([[text, "x=1"]]).decode(), newline=""))
        assert row == [f"'{text}".replace("\n", "\n'"), "x=1"]


@pytest.mark.parametrize("separator", [";", "\t", "|", ",", "\n", "\r\n", '; "'])
@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "＝1"])
def test_no_spreadsheet_that_separates_by_something_else_takes_a_part_of_a_cell_for_a_formula(
    separator: str, formula: str
) -> None:
    text = lines([[f"a{separator}{formula}", "b"]]).decode()
    (row,) = csv.reader(io.StringIO(text, newline=""))
    assert row == [f"a{separator}'{formula}", "b"]
