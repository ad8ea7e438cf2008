"""`manage.py proof list | show | fetch | paste | forget | findings`."""

from pathlib import Path
from typing import Any

from tenants import selectors
from tenants.management.subcommands import CUSTOMER, Option, SubcommandsCommand, subcommand
from tenants.models import Finding, Proof, Server, Site
from tenants.problem import ProblemError
from tenants.proofs import documents, reading, sites
from tenants.proofs.words import told

_SERVER = Option("--server", "the server's name or id", required=True)


class Command(SubcommandsCommand):
    """Who servers are."""

    help = "Shows who Mattermost servers have proven to be, and reads the documents of their sites."

    @subcommand("List servers with their levels.", Option("--customer", "only this customer's"))
    def list_(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them."""
        rows = Server.of_people().select_related("customer")
        if customer:
            rows = rows.filter(customer=selectors.customer(customer))
        return [_level(row) for row in rows]

    @subcommand("Show one server's level, with the evidence.", CUSTOMER, _SERVER)
    def show(self, *, customer: str, server: str) -> dict[str, Any]:
        """Print it."""
        row = selectors.server(selectors.customer(customer), server)
        proofs = Proof.objects.filter(key__server=row).select_related("key")
        found = Finding.objects.filter(server=row).select_related("server", "key")
        site = Site.objects.filter(server=row).first()
        return {
            **_level(row),
            "missing": reading.level(row).missing,
            "site": None if site is None else _site(site),
            "proofs": [_proof(each) for each in proofs],
            "findings": [_finding(each) for each in found],
        }

    @subcommand(
        "Fetch the documents of a server's site.",
        CUSTOMER,
        _SERVER,
        Option("--address", "such as https://chat.example.com; empty: where it was fetched before"),
    )
    def fetch(self, *, customer: str, server: str, address: str) -> dict[str, Any]:
        """Print the site."""
        row = selectors.server(selectors.customer(customer), server)
        known = Site.objects.filter(server=row).values_list("address", flat=True).first()
        if not address and not known:
            raise ProblemError("its site was never fetched: say where it is with --address")
        site, changed = sites.fetch(server=row, address=address or f"https://{known}")
        return {**_site(site), "changed": changed}

    @subcommand(
        "Take the documents of a site that cannot be reached from here, from files.",
        CUSTOMER,
        _SERVER,
        Option("--config", f"a file with what https://SITE{documents.CONFIG_PATH} shows", required=True),
        Option("--licence", f"a file with what https://SITE{documents.LICENCE_PATH} shows"),
    )
    def paste(self, *, customer: str, server: str, config: str, licence: str) -> dict[str, Any]:
        """Print the site."""
        row = selectors.server(selectors.customer(customer), server)
        site, changed = sites.paste(server=row, config=_text(config), licence=_text(licence) if licence else "")
        return {**_site(site), "changed": changed}

    @subcommand("Fetch a server's site no more.", CUSTOMER, _SERVER)
    def forget(self, *, customer: str, server: str) -> dict[str, Any]:
        """Print whether it was."""
        row = selectors.server(selectors.customer(customer), server)
        return {"server": row.name, "changed": sites.forget(server=row).changed}

    @subcommand("List what was found that somebody has to look at.", Option("--customer", "only this customer's"))
    def findings(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them, the latest first."""
        rows = Finding.objects.filter(settled_at=None).select_related("server__customer", "key")
        if customer:
            rows = rows.filter(server__customer=selectors.customer(customer))
        return [_finding(each) for each in rows]


def _level(row: Server) -> dict[str, Any]:
    level = reading.level(row)
    return {
        "customer": row.customer.slug,
        "server": row.name,
        "id": str(row.public_id),
        "level": level.word,
        "server_id": level.mattermost_id,
        "confirmed": level.confirmed,
    }


def _site(row: Site) -> dict[str, Any]:
    names = ("address", "how", "mattermost_id", "public_key", "site_url", "version")
    terms = ("licensed", "trial", "sku", "company", "users", "problem")
    times = ("fetched_at", "asked_at", "due_at")
    return {
        **{name: getattr(row, name) for name in (*names, *terms)},
        **{name: at.isoformat() if (at := getattr(row, name)) else None for name in times},
    }


def _proof(row: Proof) -> dict[str, Any]:
    return {
        "key": str(row.key),
        "server_id": row.mattermost_id,
        "how": row.how,
        "public_key": row.public_key,
        "last": row.last,
        **{
            name: at.isoformat() if (at := getattr(row, name)) else None
            for name in ("proven_at", "verified_at", "last_at")
        },
    }


def _finding(row: Finding) -> dict[str, Any]:
    words = told(row)
    return {
        "customer": row.server.customer.slug,
        "server": row.server.name,
        "kind": row.kind,
        "sentence": words.whole,
        "what_to_do": words.what_to_do,
        "since": row.first_at.isoformat(),
        "last": row.last_at.isoformat(),
        "settled": row.settled_at.isoformat() if row.settled_at else None,
    }


def _text(path: str) -> str:
    """The text of a file. Raises ProblemError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(
            f"{path} cannot be read as text ({getattr(error, 'strerror', None) or 'no UTF-8'})"
        ) from error
