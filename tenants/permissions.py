"""Role-based permissions within a customer: one table, role by action. Pure.

Whoever looks at a customer's pages as staff is a viewer there. What staff do otherwise, they do in the admin.
"""

from typing import Final

OWNER: Final = "owner"
ADMIN: Final = "admin"
VIEWER: Final = "viewer"
# The most powerful first.
ROLES: Final = (OWNER, ADMIN, VIEWER)

_ALL: Final = frozenset(ROLES)
_ADMINS: Final = frozenset({OWNER, ADMIN})
_OWNERS: Final = frozenset({OWNER})

# noun.verb; "see" alone is what comes with being a member at all, such as leaving.
ACTIONS: Final = {
    "see": _ALL,
    "server.see": _ALL,
    "app.see": _ALL,
    "delivery.see": _ALL,
    "member.see": _ALL,
    "subscription.see": _ALL,
    "settings.see": _ALL,
    "audit.see": _ALL,
    "server.change": _ADMINS,
    "key.change": _ADMINS,
    "app.change": _ADMINS,
    "credential.change": _ADMINS,
    "push.test": _ADMINS,
    "member.change": _ADMINS,
    "invitation.change": _ADMINS,
    "settings.change": _ADMINS,
    "audit.export": _ADMINS,
    # Invoices, prices and who is billed.
    "billing.read": _ADMINS,
    # Making, lowering and removing owners.
    "owner.change": _OWNERS,
    # Letting devices be removed of which the fuse says that they are too many: a wrong one is mute for long.
    "remove.release": _OWNERS,
    "subscription.change": _OWNERS,
    "billing.change": _OWNERS,
    "customer.export": _OWNERS,
    "customer.erase": _OWNERS,
}


def may(role: str, action: str) -> bool:
    """Whether a role includes an action. Raises KeyError for an action that is not in the table."""
    return role in ACTIONS[action]


def who_may(action: str) -> tuple[str, ...]:
    """The roles that include an action, the most powerful first. Raises KeyError as above."""
    return tuple(role for role in ROLES if role in ACTIONS[action])
