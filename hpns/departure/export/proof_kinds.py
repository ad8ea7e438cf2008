"""Who servers are, in a customer's export: what their sites say, what signatures proved, and what was found."""

from typing import Final

from hpns.departure.export.schema import Field, Kind
from tenants.models import Finding, Proof, Site

_SERVER: Final = Field("server_id", "the server, by its id in servers.jsonl")
_ID: Final = Field("mattermost_id", "the server_id that its pushes carry")

PROOFS: Final = (
    Kind(
        "sites.jsonl",
        "The public documents of your servers' sites, as they were read last.",
        Site,
        "server__customer_id",
        (
            _SERVER,
            Field("address", "where it is fetched, without https://; empty: it is not"),
            Field("how", "fetched by us, or pasted"),
            _ID,
            Field("public_key", "what its pushes' signatures are verified with"),
            Field("site_url", "the address that it gives itself"),
            Field("version", "of Mattermost"),
            Field("licensed", "whether it has a licence"),
            Field("trial", "whether that is a trial"),
            Field("sku", "of the licence"),
            Field("company", "of the licence"),
            Field("users", "seats of the licence"),
            Field("fetched_at", "when the documents were read"),
            Field("asked_at", "when the site was asked last"),
            Field("problem", "why it could not be read then"),
        ),
    ),
    Kind(
        "proofs.jsonl",
        "What the signatures of pushes proved, by key and server_id.",
        Proof,
        "key__server__customer_id",
        (
            Field("key_id", "the key, by its id in keys.jsonl"),
            _ID,
            Field("public_key", "by which the signatures verify"),
            Field("how", "where that key is from: fetched, pasted, recovered from two pushes, same_key"),
            Field("proven_at", "when the first signature verified"),
            Field("verified_at", "when one verified last, to the minute"),
            Field("last", "what was found of the push that was looked at last"),
            Field("last_at", "when that was, to the minute"),
        ),
    ),
    Kind(
        "findings.jsonl",
        "What was found of your servers that somebody had to look at.",
        Finding,
        "server__customer_id",
        (
            _SERVER,
            Field("key_id", "the key, by its id in keys.jsonl"),
            Field("kind", "what was found"),
            _ID,
            Field("other", "the other server_id, or site"),
            Field("first_at", "since when"),
            Field("last_at", "when it was seen last"),
            Field("settled_at", "when it was over"),
        ),
    ),
)
