"""Which app takes a push."""

import timeit

import pytest

from tenants.directory.lookup import Lookup
from tenants.directory.snapshot import AppRow, Identity, Snapshot

ADA, BEN = 1, 2


def app(app_id: int, owner: int | None, label: str, family: str = "apns", *, default: bool = False) -> AppRow:
    return AppRow(app_id, owner, label, family, f"com.app{app_id}", "production", default)


APPS = [
    app(10, None, "apple_rn"),
    app(11, None, "apple_rnbeta", default=True),
    app(12, None, "android_rn", "fcm"),
    app(20, ADA, "apple_rn"),
    app(21, ADA, "android_own", "fcm", default=True),
]


def lookup(*sharers: int) -> Lookup:
    made = Lookup()
    made.install(Snapshot(1, 1.0, {}, APPS, list(sharers)), "postgres")
    return made


@pytest.mark.parametrize(
    ("customer", "label", "family", "app_id"),
    [
        (ADA, "apple_rn", "apns", 20),  # her own before the shared one
        (ADA, "apple_rnbeta", "apns", 11),
        (ADA, "android_rn", "fcm", 12),  # a label that matches before a default that does not
        (ADA, "android_other", "fcm", 21),  # her own default
        (ADA, "apple_other", "apns", 11),  # the shared default
        (BEN, "apple_rn", "apns", 10),
        (BEN, "android_own", "fcm", None),  # never another customer's app, and no default is set
        (BEN, "android_other", "fcm", None),
        (BEN, "windows", "", None),
    ],
)
def test_the_own_app_comes_before_the_shared_one_and_a_label_before_a_default(
    customer: int, label: str, family: str, app_id: int | None
) -> None:
    found = lookup(ADA, BEN).route(customer, label, family)
    assert (found.app_id if found else None) == app_id


@pytest.mark.parametrize(("label", "family"), [("apple_rn", "apns"), ("apple_other", "apns"), ("android_rn", "fcm")])
def test_shared_apps_are_out_of_reach_without_the_right_to_them(label: str, family: str) -> None:
    assert lookup(ADA).route(BEN, label, family) is None


def test_news_replaces_all_that_was_known() -> None:
    directory = lookup(ADA, BEN)
    directory.install(Snapshot(2, 2.0, {"p": Identity(1, 1, ADA, True, "", b"")}, [], []), "postgres")
    assert directory.route(ADA, "apple_rn", "apns") is None
    assert directory.find("p") is not None
    directory.install(Snapshot(3, 3.0, {}, APPS, []), "postgres")
    assert directory.find("p") is None


def test_who_is_on_the_free_test_service_is_known_by_a_key_by_a_server_id_and_without_either() -> None:
    directory, cleo = lookup(), 3
    keys = {"a": Identity(1, 1, ADA, True, "", b""), "b": Identity(2, 2, BEN, True, "", b"", trial=True)}
    listed = {"of two": [Identity(0, 1, ADA, True, "", b""), Identity(0, 3, cleo, True, "", b"", trial=True)]}
    free = Identity(0, 9, 9, True, "", b"", trial=True, anonymous=True)
    directory.install(Snapshot(2, 2.0, keys, [], [], listed, [free]), "postgres")
    assert [each for each in range(12) if directory.is_trial(each)] == [BEN, cleo, 9]
    directory.install(Snapshot(3, 3.0, {}, [], []), "postgres")
    assert not any(map(directory.is_trial, range(12)))


def test_a_look_costs_less_than_a_microsecond_or_so() -> None:
    directory = lookup(BEN)
    rounds = 1_000  # a millisecond: one of a hundred is not interrupted
    seconds = min(timeit.repeat(lambda: directory.route(BEN, "apple_rn", "apns"), number=rounds, repeat=100))
    # Four times the promise, for a busy machine.
    assert seconds / rounds < 4e-6
