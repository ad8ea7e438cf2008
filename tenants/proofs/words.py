"""Findings in words, for pages and e-mail: what happened, and what to do. One text of each kind."""

from typing import Final, NamedTuple

from tenants.models import Finding, Proof


class Words(NamedTuple):
    """A sentence without its full stop, good to be followed by "since 09:14", what follows it, and what to do."""

    sentence: str
    what_to_do: str
    is_bad: bool = False

    @property
    def whole(self) -> str:
        """The sentence with its full stop."""
        return f"{self.sentence}."


_CHANGED: Final = "We ask the site again by ourselves, and no push is refused for it."


def told(row: Finding) -> Words:
    """A finding in words, for its customer and for staff; it names no other customer."""
    server, key = row.server.name, f"the key {row.key}" if row.key is not None else "its key"
    match row.kind:
        case Finding.Kind.CHANGED_KEY:
            return Words(
                f"Pushes of {server} are signed with another key than before",
                "If Mattermost was set up anew, fetch the documents of its site, or paste them. If not, somebody else "
                f"may push with {key}: revoke it. {_CHANGED}",
            )
        case Finding.Kind.LEAKED_KEY:
            return Words(
                f"Another Mattermost installation pushes with {key} of {server}",
                f"Its pushes carry the server ID {row.mattermost_id}{_own_server(row)} and another signature. If that "
                "is not a server of yours, the key has leaked: make a new one, enter it in Mattermost, and revoke this "
                "one. Each server needs a key of its own.",
                is_bad=True,
            )
        case Finding.Kind.RESTORED_BACKUP:
            return Words(
                f"{server} pushes under another server ID than before, with the same signing key",
                f"It is {row.mattermost_id} now and was {row.other}: a backup was restored, or it was set up from a "
                "copy. Nothing is to be done if you did that. If both are running, only one of them should push.",
            )
        case Finding.Kind.CLONE:
            where = f" and as {row.other}" if row.other else ", and with the key of another account"
            return Words(
                f"One Mattermost installation pushes as {server}{where}",
                "The server ID and the signing key are the same, so one is a copy of the other. Take the push "
                "notification server out of the copy's settings, or give it an identity of its own.",
            )
        case Finding.Kind.OTHER_ID:
            return Words(
                f"The site of {server} has the server ID {row.other} now, and had {row.mattermost_id}",
                "If Mattermost was set up anew there, fetch its documents again on the server's page.",
            )
        case Finding.Kind.CONTESTED:
            return Words(
                f"The server ID {row.mattermost_id} of {server} is proven with another signing key, too",
                "Each push counts for whose key has signed it. Ask whoever operates this push service, if it is yours.",
            )
        case _:
            return Words(
                f"A push with {key} of {server} repeats the signature of a push of another customer",
                "It proves nothing and was delivered. Ask the customer what sends its pushes.",
                is_bad=True,
            )


def _own_server(row: Finding) -> str:
    """Which of the customer's own servers it is, where one has proven that server_id."""
    proofs = Proof.objects.filter(Proof.standing(), mattermost_id=row.mattermost_id)
    own = proofs.filter(key__server__customer=row.server.customer_id).exclude(key__server=row.server)
    name = own.values_list("key__server__name", flat=True).first()
    return f" (of your server {name})" if name else ""
