"""Reading the ledger: a customer's months, its files, the published roots. What pages, invoices and commands ask."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from billing.facts import Month, SlaMonth
from billing.models import SlaDay, SlaFile, SlaKey, SlaLedger, SlaRoot
from billing.models import SlaMonth as Kept
from billing.sla import breaks, judging, keys, ledger, months, packing, sealing
from billing.sla.judging import Row
from billing.sla.keeping import sealed_to
from tenants.models import Customer
from tenants.problem import ProblemError

# A round is every five minutes: until then it is not known what became of a minute.
KNOWN_AFTER: Final = timedelta(minutes=8)
# The days whose roots are published in one document; older ones by year.
PUBLISHED_DAYS: Final = 800


def ledger_of(customer: Customer) -> SlaLedger | None:
    """The customer's ledger; None before its first round."""
    return SlaLedger.objects.filter(customer=customer).first()


def sealed_to_of(customer: Customer) -> date | None:
    """The last sealed day of a customer's own ledger."""
    return breaks.last_file(customer.pk)


def month(customer: Customer, month: Month, now: datetime) -> SlaMonth | None:
    """The figures of a month, so far where it is not over; None where the ledger begins later."""
    kept = Kept.objects.filter(customer=customer, month=month.first).first()
    if kept is not None:
        return months.kept(kept)
    of = ledger_of(customer)
    return months.figures(of, month, known_until(now)) if of is not None else None


def past_months(customer: Customer) -> list[SlaMonth]:
    """The months that are closed, the latest first."""
    return [months.kept(row) for row in Kept.objects.filter(customer=customer).order_by("-month")]


def rows(customer: Customer, month: Month) -> list[Row]:
    """The rows of a month with its corrections."""
    return months.rows(customer.pk, month)


def known_until(now: datetime) -> datetime:
    """Before which minute all is known that is to be known at a moment."""
    return (now - KNOWN_AFTER).replace(second=0, microsecond=0)


class Package(NamedTuple):
    """A month to take away: its files by name, and the day up to which it is sealed."""

    files: dict[str, bytes]
    sealed_to: date


def package(customer: Customer, month: Month) -> Package:
    """The sealed files of a month, and of later days with corrections of it, or with minutes of days that had no file.

    Raises ProblemError without any.
    """
    of, known = ledger_of(customer), breaks.renewals(customer.pk)
    own = [row for row in SlaDay.objects.filter(customer=customer).order_by("day") if _in_chain(row.day, known)]
    last = own[-1].day if own else None
    days = [day for day in judging.days_of(month) if of is not None and of.begins <= day]
    days = [day for day in days if last is not None and breaks.file_of(known, day) <= last]
    if of is None or last is None or not days:
        raise ProblemError(f"no day of {month.first:%Y-%m} is sealed yet: a day is sealed two days later")
    start, end = judging.midnight(days[0]), judging.midnight(days[-1]) + timedelta(days=1)
    late = [day for day in days if not _in_chain(day, known)]
    wanted = {*(set(days) - set(late)), *sealing.filed_days(of.customer_id, start, end, last)}
    chosen = [row for row in own if row.day in wanted]
    files = dict(SlaFile.objects.filter(customer=customer, day__in=wanted).values_list("day", "content"))
    if {row.day for row in chosen} - set(files):
        raise ProblemError(f"the files of {month.first:%Y-%m} were kept for 25 months and are gone")
    chain = [packing.Link(row.day, row.sha, row.head) for row in own]
    sealed = [
        packing.SealedFile(row.day, files[row.day].encode("ascii"), row.index, row.size, row.path) for row in chosen
    ]
    roots = signed_roots(day__in=[row.day for row in chosen])
    corrected = judging.corrected(*_read(sealed, month))
    figures = judging.summed(corrected, month, judging.DAY_MINUTES * len(days))
    told = packing.statement(str(of.public_id), figures, last, late)
    mended = [each for each in known if each.begins <= last]
    return Package(packing.files(told, chain, sealed, roots, keys.public_keys(), mended), last)


def _in_chain(day: date, known: Sequence[ledger.Break]) -> bool:
    """Whether a day has a file of its own, for it is no day of a break."""
    return breaks.file_of(known, day) == day


def signed_roots(**lookups: Any) -> list[packing.SignedRoot]:
    """Published roots, by day."""
    rows = SlaRoot.objects.filter(**lookups).order_by("day")
    return [packing.SignedRoot(row.day, row.size, row.root, row.key, row.signature) for row in rows]


def published(year: int | None = None) -> dict[str, Any]:
    """The document of /.well-known/hpns-sla.json: public keys old and new, roots of the last 800 days or of a year."""
    last = sealed_to()
    if year is not None:
        roots = signed_roots(day__year=year)
    else:
        roots = signed_roots(day__gt=last - timedelta(days=PUBLISHED_DAYS)) if last else []
    latest = roots[-1] if roots else None
    document = packing.roots_document(roots, keys.public_keys())
    made = dict(SlaKey.objects.values_list("key", "made_at"))
    for one in document["keys"]:
        one["made_at"] = made[one["key"]].isoformat(timespec="seconds")
    head = {"day": latest.day.isoformat(), "heads": latest.size, "root": latest.root} if latest else None
    return {**document, "head": head, "verifier": "/sla/verify_sla.py"}


def check_chain(customer: Customer) -> tuple[int, list[str]]:
    """Hold the customer's days against its files, chain, tree and roots: how many days, and what is wrong."""
    of, wrong, count = ledger_of(customer), [], 0
    if of is None:
        return 0, ["there is no ledger"]
    known, broken = breaks.renewals(customer.pk), breaks.broken(of)
    if broken is not None:
        wrong.append(f"the chain is broken since {broken.broke_on}: no later day of it is sealed until `sla renew`")
    files = dict(SlaFile.objects.filter(customer=customer).values_list("day", "content"))
    roots = {each.day: each for each in signed_roots()}
    for row in SlaDay.objects.filter(customer=customer).order_by("day"):
        if not _in_chain(row.day, known):
            continue
        content = files.get(row.day)
        if content is not None and ledger.sha(content.encode("ascii")).hex() != row.sha:
            wrong.append(f"the file of {row.day} is not the one that was sealed")
        root, path = roots.get(row.day), [bytes.fromhex(node) for node in row.path]
        tree = ledger.proven_root(bytes.fromhex(row.head), row.index, row.size, path)
        if root is None or tree is None or tree.hex() != root.root:
            wrong.append(f"the head of {row.day} is not in that day's signed tree")
        count += 1
    return count, wrong


def _read(sealed: Iterable[packing.SealedFile], month: Month) -> tuple[list[Row], list[Row]]:
    """The rows of a month and its corrections, as they stand in the files."""
    own: list[Row] = []
    corrections: list[Row] = []
    for each in sealed:
        found, filed = ledger.read_file(each.day, each.content)
        own += [row for row in found if judging.month_of(row.minute.date()) == month]
        corrections += [row for row in filed if judging.month_of(row.minute.date()) == month]
    return own, corrections
