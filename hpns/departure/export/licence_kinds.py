"""The files of a customer's export about licences: what was proven, and what staff had to decide."""

from typing import Final

from billing.models import LicenceCase, LicenceProof
from hpns.departure.export.schema import ID, Field, Kind

_TERMS: Final = (
    ID,
    Field("server_id", "the server that it is for, by its id in servers.jsonl"),
    Field("issuer", "whose key its signature is good by"),
    Field("licence_id", "the id of the licence"),
    Field("company", "whom it was issued to"),
    Field("sku", "the short name of its plan"),
    Field("users", "for how many users"),
    Field("push_limit", "for how many pushes a month, where it says so"),
    Field("is_trial", "whether it is a trial"),
    Field("issued_at", "when it was issued"),
    Field("starts_at", "when it starts"),
    Field("expires_at", "when it ends"),
    Field("digest", "the SHA-256 of the file, without its line ends; the file itself is not kept"),
)

LICENCES: Final = (
    Kind(
        "licences.jsonl",
        "Your licences of Mattermost, also those that have ended.",
        LicenceProof,
        "customer_id",
        (
            *_TERMS,
            Field("vouched", "whether the operator answers for it, and no file"),
            Field("reason", "why the operator does"),
            Field("site_agreed_at", "when the server itself said the same of its licence"),
            Field("created_at", "when it was made"),
            Field("ended_at", "when it was withdrawn, replaced or ended"),
            Field("end_reason", "why"),
        ),
    ),
    Kind(
        "licence_cases.jsonl",
        "Licences that you sent and the operator had to decide about.",
        LicenceCase,
        "customer_id",
        (
            *_TERMS,
            Field("kind", "double_use: in use by another account; unknown_plan"),
            Field("attempts", "how often you sent it"),
            Field("first_at", "when for the first time"),
            Field("last_at", "when last"),
            Field("resolved_at", "when it was decided"),
            Field("resolution", "kept: by the other account; moved: to yours; closed: nothing was changed"),
            Field("note", "what the operator says of it"),
        ),
    ),
)
