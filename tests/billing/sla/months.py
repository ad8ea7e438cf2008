"""Random months of the SLA of several customers, sealed as the service does it, without a database."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from billing.facts import Month, SlaMonth
from billing.sla import judging, ledger, packing
from billing.sla.judging import Row


class Sealed(NamedTuple):
    """A month of one customer as it is handed out."""

    files: dict[str, bytes]
    figures: SlaMonth


def row(minute: datetime, valid: int, failed: int, canary: str = "good", **more: Any) -> Row:
    """A judged row."""
    excluded, service_good = more.get("excluded", False), more.get("service_good", True)
    word, reason = judging.verdict(valid, failed, canary, excluded=excluded, service_good=service_good)
    fast = more.get("fast", (valid - failed) // 2)
    return Row(minute, valid, failed, 1, 0, 2, fast, valid - failed, canary, word, reason)


def random_rows(dice: random.Random, day: date, most: int) -> list[Row]:
    """Rows of a day: some of them bad in each way."""
    found = []
    trouble = dice.choice((0.0, 0.0, 0.02, 0.3))
    for number in sorted(dice.sample(range(1440), dice.randint(0, most))):
        minute = judging.midnight(day) + timedelta(minutes=number)
        valid = dice.choice((0, 1, 2, 19, 20, 21, 400))
        failed = sum(dice.random() < trouble for _ in range(valid))
        canary = dice.choice(("good", "good", "good", "bad", "missing"))
        one = row(minute, valid, failed, canary, excluded=dice.random() < 0.02, service_good=dice.random() < 0.7)
        if judging.is_kept(one):
            found.append(one)
    return found


def correction(dice: random.Random, old: Row) -> Row:
    """A correction of a row."""
    valid, failed = old.valid, dice.randint(0, old.valid)
    word, _ = judging.verdict(valid, failed, old.canary, excluded=False, service_good=True)
    fast = dice.randint(0, valid)
    return Row(old.minute, valid, failed, 0, 0, 0, fast, valid, old.canary, word, ledger.CORRECTION + "late rows")


def random_breaks(dice: random.Random, days: list[date]) -> list[ledger.Break]:
    """One to three breaks among these days, without the heads that they follow: the last day is in none."""
    found: list[ledger.Break] = []
    for _ in range(dice.randint(1, 3)):
        first = days.index(found[-1].begins) if found else 0
        if len(days) - first < 2:
            break
        broke = dice.randint(first, len(days) - 2)
        begins = dice.randint(broke + 1, len(days) - 1)
        decided = judging.midnight(days[begins - 1]) + timedelta(minutes=dice.randrange(1440))
        found.append(
            ledger.Break(days[broke], "", days[begins], decided, "ops@hpns.example", "a minute was unreadable")
        )
    return found


def sealed_month(dice: random.Random, days: int, most: int, others: int, *, broken: bool = False) -> Sealed:
    """A month whose ledger began `days` days before its end, with corrections in it and on two days after it; broken:
    its chain breaks in these days and is begun anew."""
    month = Month(dice.randint(2024, 2027), dice.randint(1, 12))
    in_month = judging.days_of(month)[-days:]
    keys = [Ed25519PrivateKey.from_private_bytes(dice.randbytes(32)) for _ in range(2)]
    publics = {ledger.key_id(key.public_key().public_bytes_raw()): key for key in keys}
    public_id = str(UUID(int=dice.getrandbits(128)))
    head, chain, sealed, roots = ledger.genesis(public_id), [], [], []
    rows: list[Row] = []
    corrections: list[Row] = []
    all_days = [*in_month, *(in_month[-1] + timedelta(days=number) for number in (1, 2))]
    breaks = random_breaks(dice, all_days) if broken else []
    named: list[ledger.Break] = []
    left_out: list[Row] = []
    unfiled: list[Row] = []
    for day in all_days:
        own = random_rows(dice, day, most)
        for number, each in enumerate(breaks):
            if each.begins == day:
                named.append(each._replace(old_head=head.hex()))
                head = ledger.anew(public_id, named[number])
        filed = [correction(dice, old) for old in rows if dice.random() < 0.02] if rows else []
        if day.month == month.month:
            rows += own
        corrections += filed
        if any(each.broke_on <= day < each.begins for each in breaks):
            left_out, unfiled = [*left_out, *own], [*unfiled, *filed]
            continue
        late = [old._replace(reason=ledger.SEALED_LATE) for old in left_out]
        filed, left_out, unfiled = [*late, *unfiled, *filed], [], []
        content = ledger.day_file(own, filed)
        head = ledger.chained(head, ledger.sha(content))
        heads = sorted([head, *(dice.randbytes(32) for _ in range(others))])
        key = dice.choice(keys)
        tree = ledger.root(heads)
        signature = key.sign(ledger.message(day, len(heads), tree)).hex()
        chain.append(packing.Link(day, ledger.sha(content).hex(), head.hex()))
        in_it = day.month == month.month or any(each.begins == day for each in breaks)
        if not in_it and not filed:
            continue
        index = heads.index(head)
        path = [each.hex() for each in ledger.proof(heads, index)]
        sealed.append(packing.SealedFile(day, content, index, len(heads), path))
        name = ledger.key_id(key.public_key().public_bytes_raw())
        roots.append(packing.SignedRoot(day, len(heads), tree.hex(), name, signature))
    figures = judging.summed(judging.corrected(rows, corrections), month, 1440 * len(in_month))
    late_days = [day for day in in_month if any(each.broke_on <= day < each.begins for each in breaks)]
    told = packing.statement(public_id, figures, chain[-1].day, late_days)
    public_hex = {name: key.public_key().public_bytes_raw().hex() for name, key in publics.items()}
    return Sealed(packing.files(told, chain, sealed, roots, public_hex, named), figures)


def at(text: str) -> datetime:
    """A minute."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
