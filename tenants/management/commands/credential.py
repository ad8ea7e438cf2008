"""`manage.py credential add | list | reseal`."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings

from tenants import provider_files, selectors, services
from tenants.management import rows
from tenants.management.owner import owner
from tenants.management.subcommands import OWNER, Option, SubcommandsCommand, subcommand
from tenants.models import Credential
from tenants.problem import ProblemError
from tenants.provider_files import Parsed


class Command(SubcommandsCommand):
    """Credentials."""

    help = "Add the keys of Apple and Google that pushes are signed with, list them, seal them anew."

    @subcommand(
        "Read one file of Apple or Google, and seal it for an app; the same again changes nothing.",
        *OWNER,
        Option("--label", "the app's label", required=True),
        Option("--p8", "Apple's token key (AuthKey_....p8), with --key-id and --team-id"),
        Option("--key-id", "the id of the token key"),
        Option("--team-id", "the id of the team at Apple"),
        Option("--p12", "Apple's certificate with its key, as the Mac's keychain exports it"),
        Option("--pem", "Apple's certificate with its key in one PEM file"),
        Option("--password-env", "the environment variable that holds the password of --p12 or --pem"),
        Option("--service-account", "Google's service account (.json)"),
        Option("--slot", "current signs pushes, next waits", choices=Credential.Slot.values, default="current"),
    )
    def add(self, *, customer: str, shared: bool, label: str, slot: str, **given: str) -> dict[str, Any]:
        """Print the credential."""
        there = selectors.app(owner(customer, shared), label)
        row, changed = services.credential_add(app=there, parsed=_parsed(given), slot=slot)
        return {**rows.credential(row), "changed": changed}

    @subcommand(
        "List the credentials of one customer's own apps, or all.", Option("--customer", "only this customer's")
    )
    def list_(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them, without their secrets."""
        found = Credential.objects.select_related("app__customer")
        if customer:
            found = found.filter(app__customer=selectors.customer(customer))
        return [rows.credential(row) for row in found]

    @subcommand("Seal all credentials with the first key of VAULT_KEYS; the other keys may go afterwards.")
    def reseal(self) -> dict[str, Any]:
        """Print how many changed."""
        return {"resealed": services.credentials_reseal()}


def _parsed(given: dict[str, str]) -> Parsed:
    files = [name for name in ("p8", "p12", "pem", "service_account") if given[name]]
    if len(files) != 1:
        raise ProblemError("give exactly one of --p8, --p12, --pem and --service-account")
    data = _read(Path(given[files[0]]))
    if files[0] == "p8":
        return provider_files.apple_key(data, key_id=given["key_id"], team_id=given["team_id"])
    if files[0] == "service_account":
        own = f"{settings.GOOGLE_TOKEN_ORIGIN.rstrip('/')}/token"
        return provider_files.service_account(data, token_uris=(*provider_files.GOOGLE_TOKEN_URIS, own))
    password = ""
    if given["password_env"]:
        password = os.environ.get(given["password_env"], "")
        if not password:
            raise ProblemError(f"the environment variable {given['password_env']} is not set, or empty")
    if files[0] == "p12":
        return provider_files.apple_certificate_p12(data, password=password)
    return provider_files.apple_certificate_pem(data, password=password)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(provider_files.SIZE_MAX + 1)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror}") from error
