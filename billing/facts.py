"""The facts that billing's parts exchange: plain values, no models, so that each part is judged without the others.

Money is in integer minor units (cents) of a currency (ISO 4217), moments are aware and in UTC, ids are database keys.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

# Days after a due date on which who owes is reminded.
REMINDER_DAYS = (1, 7, 14, 21, 28)


class Basis(StrEnum):
    """What a subscription rests on."""

    LICENCE = "licence"  # an E1 licence of Mattermost, which includes HPNS
    PAID = "paid"  # invoices of ours
    TRIAL = "trial"
    FREE = "free"  # TPNS: no promise, no invoice


class State(StrEnum):
    """The standing of a subscription."""

    SCHEDULED = "scheduled"
    TRIAL = "trial"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    RESTRICTED = "restricted"
    SUSPENDED = "suspended"
    ENDED = "ended"


class Terms(NamedTuple):
    """One version of a plan: who has it keeps it. `sla`: whether the plan has the SLA (sla-1); days count from a due
    date or a licence's end."""

    plan: str
    version: int
    offer: str  # hpns, eas or tpns: tenants.Customer.Offer
    currency: str
    price_minor: int  # for each period
    period_months: int  # 1 or 12
    included_devices: int | None  # active devices a month; None: no bound
    included_pushes: int | None  # billable pushes a month
    included_servers: int | None
    device_price_minor: int  # for each active device beyond those included, a month
    sla: bool
    trial_days: int = 30
    payment_days: int = 30  # from an invoice's issue to its due date
    restricted_after: int = 30
    suspended_after: int = 45
    ended_after: int = 90
    name: str = ""  # of the plan, for people


class Subscribed(NamedTuple):
    """A subscription as standing() needs it. `override_until`: until then it is served, by staff."""

    id: int
    customer_id: int
    basis: Basis
    terms: Terms
    starts_at: datetime
    trial_ends_at: datetime | None
    cancel_at: datetime | None
    override_until: datetime | None


class OpenInvoice(NamedTuple):
    """An issued invoice of which something is to be paid."""

    number: str
    subscription_id: int | None
    due_at: datetime  # the end of its due date
    open_minor: int
    currency: str


class Proof(NamedTuple):
    """A licence that a customer has proven, or that staff vouch for; bound to one server (None: not yet)."""

    id: int
    customer_id: int
    server_id: int | None
    issuer: str
    licence_id: str
    sku: str  # as the licence says it: E10, professional, E20, enterprise, advanced, entry
    users: int
    starts_at: datetime
    expires_at: datetime
    vouched: bool


class Standing(NamedTuple):
    """What follows: the state since when, when it may change next (None: never by itself), whether pushes are served
    and new servers, keys and apps may be added, and the words for it."""

    state: State
    serves: bool
    may_grow: bool
    refusal: (
        str  # the code that pushes are refused with: subscription_unpaid, licence_expired; "" while they are served
    )
    since: datetime | None
    next_change_at: datetime | None
    sentence: str
    what_to_do: str


class Month(NamedTuple):
    """A calendar month in UTC."""

    year: int
    month: int

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)


class Usage(NamedTuple):
    """What a customer used in a month."""

    month: Month
    pushes: int  # billable: no tests, refused ones, canaries
    devices: int  # active ones: distinct device fingerprints by server
    servers: int  # distinct proven server_ids
    seats: int | None  # the licence's users; None without one


class SlaMonth(NamedTuple):
    """A month of the SLA of one customer, as sla-1 computes it. Percentages cut to three decimals, never rounded up."""

    month: Month
    valid: int
    failed_ours: int
    minutes: int
    bad_minutes: int
    excluded_minutes: int
    by_time: Decimal
    by_requests: Decimal | None  # None: fewer than 1,000 valid pushes
    uptime: Decimal  # the worse of both
    within_1s: Decimal | None
    within_3s: Decimal | None
    credit_percent: int  # 0, 10, 25 or 50


class Credit(NamedTuple):
    """What a customer is owed for a month whose promise was not kept."""

    customer_id: int
    month: Month
    percent: int
    amount_minor: int
    currency: str
    root: str  # the Merkle root (hex) of the month's last sealed day


class PlanCharge(NamedTuple):
    """A change of plan, and what is due for it: negative is a credit. `before`: the terms until then; `resets`: periods
    are counted from that day on, and the first of them is charged by the change itself."""

    id: int
    subscription_id: int
    at: datetime
    before: Terms
    text: str
    amount_minor: int
    currency: str
    until: date | None  # the last day that is charged for
    resets: bool
