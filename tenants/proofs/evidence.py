"""Records what the signatures of sampled pushes prove. For the worker, beside the path.

What a push repeats that is known already costs one verification and a share of one statement; all else, which is rare,
is looked at row by row, at most SLOW_MAX of it at a time: what is left out is sampled again within a minute.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import DataError, transaction
from django.db.models import F

from tenants.audit import recording
from tenants.changes import notify_processes
from tenants.models import Finding, Proof, ServerKey, Site
from tenants.proofs import findings, judging
from tenants.proofs.judging import Judged, Known
from tenants.proofs.signatures import Signed

log = logging.getLogger(__name__)

SIGNED, UNSIGNED, BAD, WRONG = "signed", "unsigned", "bad", "wrong"
SLOW_MAX: Final = 40
# What is found of a push without verifying anything.
_SAID: Final = {UNSIGNED: Proof.Last.UNSIGNED, BAD: Proof.Last.BAD}
# Server_ids that are kept for one key, as sightings are.
IDS_PER_KEY_MAX: Final = 20
# After so long a site that was asked is asked anew because a signature did not verify.
ASK_AGAIN: Final = timedelta(minutes=10)
# Times of samples are to the minute.
_EXACT: Final = timedelta(minutes=1)
# Seconds over which a verification of a minute is not written down again.
_MINUTE: Final = 60

# Whether a push with this ack_id was another customer's than this one's (its id).
SentElsewhere = Callable[[str, int], bool]


class Sample(NamedTuple):
    """One push that was looked at, as JSON carries it. `at`: unix seconds; `state`: SIGNED, UNSIGNED, BAD (a signature
    that is none of this push), or WRONG (came by its server_id alone, and no key that speaks for it has signed it:
    `key_id` is 0); `digest` and `signature` in hexadecimal, of a signed one."""

    key_id: int
    mattermost_id: str
    at: int
    state: str
    ack_id: str = ""
    digest: str = ""
    signature: str = ""

    @property
    def moment(self) -> datetime:
        """When, to the minute."""
        return datetime.fromtimestamp(self.at - self.at % _MINUTE, UTC)

    @property
    def signed(self) -> Signed:
        """What a signed one is verified by."""
        return Signed(bytes.fromhex(self.digest), bytes.fromhex(self.signature))


def record(samples: Sequence[Sample], sent_elsewhere: SentElsewhere) -> None:
    """Record samples. Those of keys that are gone are left out. Raises django.db.Error."""
    wrong = {sample.mattermost_id for sample in samples if sample.state == WRONG}
    if wrong:
        _ask_again(Site.objects.filter(mattermost_id__in=wrong), _latest(samples))
    rows = {
        (row.key_id, row.mattermost_id): row
        for row in Proof.objects.filter(key_id__in={sample.key_id for sample in samples})
    }
    repeated: list[Proof] = []
    slow: list[Sample] = []
    for sample in samples:
        row = rows.get((sample.key_id, sample.mattermost_id))
        if sample.key_id and row is not None and _repeats(row, sample):
            repeated.append(row)
        elif sample.key_id:
            slow.append(sample)
    if repeated:
        Proof.objects.bulk_update(dict.fromkeys(repeated), ("verified_at", "last_at"), batch_size=500)
    for sample in _in_turns(slow)[:SLOW_MAX]:
        try:
            with transaction.atomic():
                _record_one(sample, sent_elsewhere)
        except DataError as error:  # what a stranger sent fits no column: that takes nothing from the others
            log.warning("a push of the key %d could not be looked at: %s", sample.key_id, type(error).__name__)


def _in_turns(samples: list[Sample]) -> list[Sample]:
    """The first of each key, then the second of each: one key with many server_ids keeps no other waiting."""
    seen: Counter[int] = Counter()
    turns: list[tuple[int, Sample]] = []
    for sample in samples:
        turns.append((seen[sample.key_id], sample))
        seen[sample.key_id] += 1
    return [sample for _, sample in sorted(turns, key=lambda each: each[0])]


def _repeats(row: Proof, sample: Sample) -> bool:
    """Whether a sample says of a proof what is known; its times are set then."""
    if row.last == _SAID.get(sample.state):
        row.last_at = max(row.last_at, sample.moment)
        return True
    if sample.state != SIGNED or row.proven_at is None or row.last != Proof.Last.VERIFIED:
        return False
    if judging.judge(sample.signed, Known(own=(row.public_key,))).result != judging.VERIFIED:
        return False
    row.verified_at = row.last_at = max(row.last_at, sample.moment)
    return True


def _record_one(sample: Sample, sent_elsewhere: SentElsewhere) -> None:
    key = ServerKey.objects.select_related("server").filter(pk=sample.key_id).first()
    if key is None:
        return
    row = Proof.objects.filter(key=key, mattermost_id=sample.mattermost_id).order_by("pk").select_for_update().first()
    if row is None:
        if Proof.objects.filter(key=key).count() >= IDS_PER_KEY_MAX:
            return
        row = Proof(key=key, mattermost_id=sample.mattermost_id)
    row.last_at = sample.moment
    if sample.state == SIGNED:
        row.last = _look(row, sample, sent_elsewhere)
    else:
        row.last = _SAID[sample.state]
    row.save()
    if row.last == Proof.Last.VERIFIED:
        findings.compare(row, sample.moment)


def _look(row: Proof, sample: Sample, sent_elsewhere: SentElsewhere) -> str:
    """Verify a signature and note in the row what it proves; what was found of it."""
    server, site = row.key.server, Site.objects.filter(server=row.key.server).first()
    known = _known(row, site)
    judged = judging.judge(sample.signed, known, judging.unpacked(row.waiting), row.tries)
    is_news = not (judged.result == judging.VERIFIED and judged.key == row.public_key and row.proven_at)
    # A signature has no time in it. Whoever has seen it, on a phone, can repeat it: then somebody else's push had it.
    if is_news and sample.ack_id and sent_elsewhere(sample.ack_id, server.customer_id):
        findings.note(
            Finding.Kind.REPLAYED, server=server, mattermost_id=row.mattermost_id, now=sample.moment, key=row.key
        )
        return Proof.Last.REPLAYED
    row.tries += judged.tried
    if judged.result == judging.WAITING:
        row.waiting = judging.packed(sample.signed)
        return Proof.Last.WAITING
    if judged.result == judging.OTHER:
        _suspect(row, site, known, sample)
        return Proof.Last.OTHER
    if judged.result == judging.RECOVERED and _is_somebody_elses(row, judged.key):
        return Proof.Last.OTHER
    if is_news:
        _prove(row, site, judged, sample.moment)
    row.verified_at = sample.moment
    findings.settle(Finding.Kind.CHANGED_KEY, server=server, mattermost_id=row.mattermost_id, now=sample.moment)
    if judged.is_other_id:
        findings.note(
            Finding.Kind.RESTORED_BACKUP,
            server=server,
            mattermost_id=row.mattermost_id,
            now=sample.moment,
            key=row.key,
            other=_earlier_id(row, judged.key),
        )
    return Proof.Last.VERIFIED


def _known(row: Proof, site: Site | None) -> Known:
    proven = list(
        Proof.objects.filter(Proof.standing(), key__server=row.key.server).values_list("mattermost_id", "public_key")
    )
    same = (key for name, key in proven if name == row.mattermost_id)
    is_sites = site is not None and site.mattermost_id == row.mattermost_id
    return Known(
        own=judging.unique((row.public_key, *same)),
        site=site.public_key if site is not None and is_sites else "",
        others=judging.unique(key for name, key in proven if name != row.mattermost_id),
    )


def _earlier_id(row: Proof, public_key: str) -> str:
    earlier = Proof.objects.filter(Proof.standing(), key__server=row.key.server, public_key=public_key)
    return earlier.exclude(mattermost_id=row.mattermost_id).values_list("mattermost_id", flat=True)[0]


def _is_somebody_elses(row: Proof, public_key: str) -> bool:
    """Whether a server_id is known to be signed with another key: trust on first use is for what nobody else has."""
    sites = Site.objects.filter(mattermost_id=row.mattermost_id, how=Site.How.FETCHED).exclude(public_key=public_key)
    proofs = Proof.objects.filter(Proof.standing(), mattermost_id=row.mattermost_id).exclude(public_key=public_key)
    customer = row.key.server.customer_id
    return sites.exclude(server__customer=customer).exists() or proofs.exclude(key__server__customer=customer).exists()


def _prove(row: Proof, site: Site | None, judged: Judged, now: datetime) -> None:
    before = row.public_key
    row.public_key, row.waiting, row.tries = judged.key, None, 0
    row.proven_at = now
    if judged.is_site and site is not None:
        row.how = site.how
    elif judged.is_other_id:
        row.how = Proof.How.SAME_KEY
    elif judged.result == judging.RECOVERED:
        row.how = Proof.How.RECOVERED
    else:  # by what another key of the same server has proven
        proven = Proof.objects.filter(Proof.standing(), key__server=row.key.server, public_key=judged.key)
        row.how = proven.values_list("how", flat=True)[0]
    server = row.key.server
    recording.record(
        "server.prove",
        customer=server.customer_id,
        target=server.name,
        target_id=server.pk,
        server_id=row.mattermost_id,
        key=row.key,
        how=row.how,
        changed=bool(before) and before != judged.key,
    )
    notify_processes(server.customer_id)


def _suspect(row: Proof, site: Site | None, known: Known, sample: Sample) -> None:
    """A push is signed with another key than is known: the key has changed, or another installation has ours."""
    server, now = row.key.server, sample.moment
    row.waiting = judging.packed(sample.signed)
    if not known.own:
        if known.others:
            findings.note(Finding.Kind.LEAKED_KEY, server=server, mattermost_id=row.mattermost_id, now=now, key=row.key)
        return  # else it is not the site's push, and nothing was proven: the page says so
    changed = findings.note(
        Finding.Kind.CHANGED_KEY, server=server, mattermost_id=row.mattermost_id, now=now, key=row.key
    )
    if site is None or site.mattermost_id != row.mattermost_id:
        return
    if site.fetched_at is not None and site.how == Site.How.FETCHED and site.fetched_at >= changed.first_at + _EXACT:
        # The site was asked since, and still has the key that did not sign this.
        findings.note(Finding.Kind.LEAKED_KEY, server=server, mattermost_id=row.mattermost_id, now=now, key=row.key)
        changed.settled_at = now
        changed.save(update_fields=("settled_at",))
        return
    _ask_again(Site.objects.filter(pk=site.pk), now)


def _ask_again(sites: Any, now: datetime) -> None:
    """Have sites fetched soon, unless they were asked just now."""
    due = sites.exclude(address="").exclude(asked_at__gt=now - ASK_AGAIN).exclude(due_at__lte=now)
    due.update(due_at=now, asked_at=F("asked_at"))


def _latest(samples: Sequence[Sample]) -> datetime:
    return max(sample.moment for sample in samples)
