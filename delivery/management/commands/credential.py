"""`manage.py credential add | check | promote | remove | list | reseal | doctor`."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.utils import timezone

from delivery.worker import credential_check
from delivery.worker.credential_check import Result
from tenants import selectors, services, vault
from tenants.credentials import sealing, uploads
from tenants.management import rows
from tenants.management.owner import owner
from tenants.management.subcommands import OWNER, Failing, Option, SubcommandsCommand, subcommand
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.providers import pem
from tenants.providers.base import Parsed
from tenants.providers.table import PROVIDERS

_OPTIONS: Final = {option.name: option for provider in PROVIDERS.values() for option in provider.options}
_FILES: Final = ("file", *_OPTIONS)
_LABEL: Final = Option("--label", "the app's label", required=True)
_SOON: Final = timedelta(days=30)


class Command(SubcommandsCommand):
    """Credentials."""

    help = "The keys of Apple and Google that pushes are signed with: add, check, promote, remove, list, seal anew."

    @subcommand(
        "Read one file of Apple or Google, and seal it for an app; the same again changes nothing.",
        *OWNER,
        _LABEL,
        Option("--file", "any of the files below: it is found out which"),
        *(Option(f"--{option.name.replace('_', '-')}", option.help) for option in _OPTIONS.values()),
        Option("--key-id", "the id of the token key (default: from the name of the file)"),
        Option("--team-id", "the id of the team at Apple"),
        Option("--password-env", "the environment variable that holds the password of --p12 or --pem"),
        Option("--slot", "current signs pushes, next waits", choices=Credential.Slot.values, default="current"),
        Option("--check", "ask the provider about it afterwards", kind="switch"),
    )
    def add(self, *, customer: str, shared: bool, label: str, slot: str, check: bool, **given: str) -> Any:
        """Print the credential."""
        there = selectors.app(owner(customer, shared), label)
        row, changed = services.credential_add(app=there, parsed=_parsed(given), slot=slot)
        return _checked(row, changed=changed) if check else {**rows.credential(row), "changed": changed}

    @subcommand(
        "Ask the provider about a credential; no phone is reached.",
        *OWNER,
        _LABEL,
        Option("--slot", "which of the two", choices=Credential.Slot.values, default="current"),
    )
    def check_(self, *, customer: str, shared: bool, label: str, slot: str) -> Any:
        """Print the credential with what was said; exit code 1 when that is not good."""
        return _checked(_in_slot(selectors.app(owner(customer, shared), label), slot))

    @subcommand(
        "Let the next credential sign, and the current one wait in its place; the provider is asked about it first.",
        *OWNER,
        _LABEL,
        Option("--unchecked", "do not ask first", kind="switch"),
    )
    def promote(self, *, customer: str, shared: bool, label: str, unchecked: bool) -> dict[str, Any]:
        """Print the credential that signs now."""
        there = selectors.app(owner(customer, shared), label)
        row = _in_slot(there, Credential.Slot.NEXT)
        if unchecked:
            return rows.credential(services.credential_promote(app=there, expected_id=row.pk))
        promoted, result = credential_check.promote(app=there, expected_id=row.pk)
        return {**rows.credential(promoted), "check": _check_result(result)}

    @subcommand(
        "Delete a credential, secret and all.",
        *OWNER,
        _LABEL,
        Option("--slot", "which of the two", choices=Credential.Slot.values, default="next"),
    )
    def remove(self, *, customer: str, shared: bool, label: str, slot: str) -> dict[str, Any]:
        """Print what it was."""
        return rows.credential(services.credential_remove(app=selectors.app(owner(customer, shared), label), slot=slot))

    @subcommand(
        "List the credentials of one customer's own apps, or all.", Option("--customer", "only this customer's")
    )
    def list_(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them, without their secrets."""
        return [rows.credential(row) for row in _all(customer)]

    @subcommand("Seal everything with the first key of VAULT_KEYS; the other keys may go afterwards.")
    def reseal(self) -> dict[str, Any]:
        """Print how many changed."""
        changed = services.reseal()
        return {"resealed": sum(changed.values()), **changed}

    @subcommand("Say of every credential whether it can be opened, and whether it is expired or refused.")
    def doctor(self) -> Any:
        """Print the findings; exit code 1 when one cannot be opened."""
        found = [_examined(row) for row in _all("")]
        closed = [row for row in found if row["sealed"] != "ok"]
        if closed:
            return Failing(found, f"{len(closed)} of {len(found)} credentials cannot be opened")
        return found


def _all(customer: str) -> Any:
    found = Credential.objects.select_related("app__customer")
    return found.filter(app__customer=selectors.customer(customer)) if customer else found


def _in_slot(app: PushApp, slot: str) -> Credential:
    row = Credential.objects.filter(app=app, slot=slot).select_related("app__customer").first()
    if row is None:
        raise ProblemError(f"the app {app} has no {slot} credential: see `credential list`")
    return row


def _checked(row: Credential, **more: Any) -> Any:
    result = credential_check.check(row)
    row.refresh_from_db()
    shown = {**rows.credential(row), **more, "check": _check_result(result)}
    return shown if result.good else Failing(shown, f"{result.code}: {result.meaning}; {result.fix}")


def _check_result(result: Result) -> dict[str, Any]:
    return {
        "code": result.code,
        "good": result.good,
        "about_the_credential": result.known,
        "meaning": result.meaning,
        "fix": result.fix,
    }


def _examined(row: Credential) -> dict[str, Any]:
    try:
        sealing.open_(row.app_id, row.sealed)
        sealed = "ok"
    except vault.VaultError as error:
        sealed = str(error)
    now = timezone.now()
    ends = row.expires_at
    end = "never" if ends is None else "expired" if ends <= now else "soon" if ends <= now + _SOON else "later"
    shown = rows.credential(row)
    kept = ("id", "customer", "label", "slot", "kind", "key_id", "expires_at", "refused_at", "refused_code")
    return {**{name: shown[name] for name in kept}, "sealed": sealed, "end": end}


def _parsed(given: dict[str, str]) -> Parsed:
    files = [name for name in _FILES if given[name]]
    if len(files) != 1:
        *others, last = (f"--{name.replace('_', '-')}" for name in _FILES)
        raise ProblemError(f"give exactly one of {', '.join(others)} and {last}")
    path = Path(given[files[0]])
    data = _read(path)
    password = ""
    if given["password_env"]:
        password = os.environ.get(given["password_env"], "")
        if not password:
            raise ProblemError(f"the environment variable {given['password_env']} is not set, or empty")
    return uploads.parse(
        data,
        owner=None,
        filename=path.name,
        password=password,
        key_id=given["key_id"],
        team_id=given["team_id"],
        option=_OPTIONS.get(files[0]),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(pem.SIZE_MAX + 1)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror}") from error
