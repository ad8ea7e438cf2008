"""What of subscriptions is in a customer's export: file, description, model, and fields with their meaning."""

from typing import Final

from billing.models import LastStanding, Override, PlanChange, Subscription, SubscriptionMail
from hpns.departure.export.schema import ID, Field, Kind
from tenants.fence import TenantModel

_OF: Final = Field("subscription_id", "the subscription, by its id in subscriptions.jsonl")
_FILES: Final[tuple[tuple[str, str, type[TenantModel], str, tuple[Field, ...]], ...]] = (
    (
        "subscriptions.jsonl",
        "Your subscriptions, also those that have ended.",
        Subscription,
        "customer_id",
        (
            ID,
            Field("plan", "which plan", "version__plan__code"),
            Field("version", "which version of it", "version__version"),
            Field("price_minor", "the price for each period, in cents", "version__price_minor"),
            Field("currency", "of the price", "version__currency"),
            Field("period_months", "how many months a period has", "version__period_months"),
            Field("basis", "licence, paid, trial or free"),
            Field("starts_at", "when it begins"),
            Field("trial_ends_at", "when its trial ends; empty: it has none"),
            Field("anchor_at", "the moment from which periods are counted"),
            Field("cancel_at", "when it ends; empty: it was not cancelled"),
            Field("created_at", "when it was made"),
        ),
    ),
    (
        "subscription_standings.jsonl",
        "How each subscription stood when it was last looked at.",
        LastStanding,
        "subscription__customer_id",
        (
            _OF,
            Field("state", "scheduled, trial, active, past_due, restricted, suspended or ended"),
            Field("serves", "whether pushes are served"),
            Field("may_grow", "whether servers, keys and apps can be added"),
            Field("refusal", "the code that pushes are refused with"),
            Field("since", "since when"),
            Field("next_change_at", "when it changes next by itself"),
            Field("sentence", "what is the case"),
            Field("what_to_do", "what to do"),
            Field("evaluated_at", "when it was looked at"),
        ),
    ),
    (
        "subscription_overrides.jsonl",
        "Until when the operator had a subscription served whatever its standing.",
        Override,
        "subscription__customer_id",
        (
            ID,
            _OF,
            Field("until", "until when"),
            Field("reason", "why"),
            Field("actor", "who of the operator's staff"),
            Field("created_at", "when it was made"),
            Field("withdrawn_at", "when it was taken back"),
        ),
    ),
    (
        "plan_changes.jsonl",
        "Changes of plan, with what each came to.",
        PlanChange,
        "subscription__customer_id",
        (
            ID,
            _OF,
            Field("before", "the plan before", "before__plan__code"),
            Field("before_version", "its version", "before__version"),
            Field("after", "the plan after it", "after__plan__code"),
            Field("after_version", "its version", "after__version"),
            Field("at", "when"),
            Field("period_start", "the period that was charged for"),
            Field("period_end", "its end"),
            Field("amount_minor", "the amount in cents; negative: a credit"),
            Field("currency", "of the amount"),
            Field("actor", "who"),
        ),
    ),
    (
        "subscription_mails.jsonl",
        "E-mails about subscriptions.",
        SubscriptionMail,
        "subscription__customer_id",
        (
            ID,
            _OF,
            Field("kind", "about what"),
            Field("about", "the date that it is about"),
            Field("days", "how many days before or after it"),
            Field("sent_at", "when it was sent"),
        ),
    ),
)

SUBSCRIPTIONS: Final = tuple(
    Kind(file, description, model, owner, fields) for file, description, model, owner, fields in _FILES
)
LEFT_OUT: Final = {
    ("Subscription", "customer"): "the whole archive is one customer's",
    ("Subscription", "offer_pending"): "bookkeeping of the timetable",
    ("LastStanding", "id"): "nothing refers to it",
}
"""Fields that are not in the archive, and why."""
