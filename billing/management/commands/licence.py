"""`manage.py licence check FILE | list | vouch | end | cases | resolve`."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from billing.licences import answer, cases, file, issuers, judging, proving, skus, vouching
from billing.licences.states import STATES, in_state
from billing.models import LicenceCase, LicenceProof
from tenants import selectors
from tenants.management.subcommands import CUSTOMER, Failing, Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError

_ID: Final = Option("--number", "its id in `licence list`", kind="number", required=True)
_CASE: Final = Option("--number", "its id in `licence cases`", kind="number", required=True)


class Command(SubcommandsCommand):
    """Licences of Mattermost."""

    help = "Check licence files, list what customers have proven, vouch by hand, decide cases."

    @subcommand(
        "Say what a licence file is worth, by the keys of LICENCE_KEYS; nothing is kept.",
        Option("FILE", "the licence file"),
    )
    def check_(self, *, file: str) -> Any:
        """Print what it says; exit code 1 where it proves nothing now or later."""
        now = timezone.now()
        licence, judgement = proving.check(_read(file), now=now)
        shown = {
            "issuer": licence.issuer,
            "id": licence.id,
            "company": licence.company,
            "plan": licence.sku,
            "users": licence.users,
            "mhpns": licence.mhpns,
            "cloud": licence.cloud,
            "trial": judging.is_trial(licence),
            "push_limit": licence.push_limit,
            "issued_at": _time(licence.issued_at),
            "starts_at": _time(licence.starts_at),
            "expires_at": _time(licence.expires_at),
            "sha256": licence.digest,
            "result": judgement.code.value,
            "counts": judgement.counts,
            "sentence": f"{judgement.sentence}.",
            "what_to_do": judgement.what_to_do,
            "proven_by": _proven_by(licence.issuer, licence.id),
        }
        return shown if judgement.kept else Failing(shown, f"{judgement.sentence}. {judgement.what_to_do}")

    @subcommand(
        "List licences that were proven or vouched for, the newest first.",
        Option("--customer", "only this customer's, by its slug"),
        Option("--licence", "only those of this licence id"),
        Option("--ended", "those that have ended, too", kind="switch"),
        Option("--state", "only those that are there", choices=tuple(STATES)),
    )
    def list_(self, *, customer: str, licence: str, ended: bool, state: str) -> list[dict[str, Any]]:
        """Print them."""
        found = LicenceProof.objects.select_related("customer", "server")
        if customer:
            found = found.filter(customer=selectors.customer(customer))
        if licence:
            found = found.filter(licence_id=licence)
        if state:
            found = in_state(found, state, timezone.now())
        elif not ended:
            found = found.filter(ended_at=None)
        return [_proof(row) for row in found]

    @subcommand(
        "Vouch for a customer's licence by hand, from now on.",
        CUSTOMER,
        Option("--plan", "its plan", required=True, choices=skus.VOUCHABLE),
        Option("--users", "for how many users", kind="number", required=True),
        Option("--until", "the last day that it counts, such as 2027-03-31 (UTC)", required=True),
        Option("--reason", "why; the customer sees it", required=True),
        Option("--server", "the name of the server that it is for"),
        Option("--company", "whom it was issued to (default: the customer's name)"),
        Option("--issuer", "with --licence: whose licence it is"),
        Option("--licence", "its id, so that no other account can prove it"),
    )
    def vouch(
        self,
        *,
        customer: str,
        plan: str,
        users: int,
        until: str,
        reason: str,
        server: str,
        company: str,
        issuer: str,
        licence: str,
    ) -> dict[str, Any]:
        """Print the proof."""
        owner = selectors.customer(customer)
        if issuer and issuer not in (names := [each.name for each in issuers.load(settings.LICENCE_KEYS).issuers]):
            raise ProblemError(f"there is no issuer {issuer!r}: LICENCE_KEYS has {', '.join(names) or 'none'}")
        proof = vouching.vouch(
            customer=owner,
            server=selectors.server(owner, server) if server else None,
            sku=plan,
            users=users,
            company=company,
            issuer=issuer,
            licence_id=licence,
            reason=reason,
            expires_at=datetime.combine(_day(until) + timedelta(days=1), time(), UTC),
            now=timezone.now(),
        )
        return {**_proof(proof), "changed": True}

    @subcommand("End a licence, for good.", _ID, Option("--reason", "why; the customer sees it", required=True))
    def end(self, *, number: int, reason: str) -> dict[str, Any]:
        """Print the proof."""
        found = LicenceProof.objects.select_related("customer", "server").filter(pk=number).first()
        if found is None:
            raise ProblemError(f"there is no licence {number}: see `licence list --ended`")
        row, changed = vouching.end(proof=found, reason=reason, now=timezone.now())
        return {**_proof(row), "changed": changed}

    @subcommand("List what staff have to decide, the oldest first.", Option("--decided", "decided, too", kind="switch"))
    def cases(self, *, decided: bool) -> list[dict[str, Any]]:
        """Print them."""
        found = LicenceCase.objects.order_by("first_at") if decided else cases.unresolved()
        return [_case(row) for row in found.select_related("customer", "server")]

    @subcommand(
        "Decide a case.",
        _CASE,
        Option("--to", "kept: by the other account; moved: to this one; closed", required=True,
               choices=LicenceCase.Resolution.values),
        Option("--note", "why; the customer sees it", required=True),
    )  # fmt: skip
    def resolve(self, *, number: int, to: str, note: str) -> dict[str, Any]:
        """Print the case."""
        found = LicenceCase.objects.filter(pk=number).first()
        if found is None:
            raise ProblemError(f"there is no case {number}: see `licence cases --decided`")
        return _case(cases.resolve(case=found, resolution=to, note=note, now=timezone.now()))


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as opened:
            return opened.read(file.FILE_MAX + 1)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror}") from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ProblemError("--until is a day such as 2027-03-31") from None


def _proven_by(issuer: str, licence_id: str) -> str | None:
    """The slug of the customer whose living proof of this licence there is."""
    found = LicenceProof.objects.filter(issuer=issuer, licence_id=licence_id, ended_at=None)
    return found.values_list("customer__slug", flat=True).first()


def _proof(row: LicenceProof) -> dict[str, Any]:
    return {
        "id": row.pk,
        **_terms(row),
        "vouched": row.vouched,
        "reason": row.reason,
        "site_agreed_at": _time(row.site_agreed_at),
        "state": "ended" if row.ended_at else answer.standing(row, timezone.now()).text,
        "created_at": _time(row.created_at),
        "ended_at": _time(row.ended_at),
        "end_reason": row.end_reason,
    }


def _case(row: LicenceCase) -> dict[str, Any]:
    there = cases.holder(row) if row.kind == LicenceCase.Kind.DOUBLE_USE else None
    return {
        "id": row.pk,
        "kind": row.kind,
        **_terms(row),
        "in_use_by": there.customer.slug if there else None,
        "attempts": row.attempts,
        "first_at": _time(row.first_at),
        "last_at": _time(row.last_at),
        "resolved_at": _time(row.resolved_at),
        "resolution": row.resolution,
        "note": row.note,
    }


def _terms(row: LicenceProof | LicenceCase) -> dict[str, Any]:
    return {
        "customer": row.customer.slug,
        "server": row.server.name if row.server else None,
        "issuer": row.issuer,
        "licence_id": row.licence_id,
        "company": row.company,
        "plan": row.sku,
        "users": row.users,
        "push_limit": row.push_limit,
        "trial": row.is_trial,
        "starts_at": _time(row.starts_at),
        "expires_at": _time(row.expires_at),
    }


def _time(value: datetime | None) -> str | None:
    return value.isoformat(timespec="seconds") if value else None
