"""Descriptions of the audit log's actions for people: one for each action that is recorded anywhere.

Invariant: the table has every action that the code records, and no other; tests/tenants/models/test_audit_words.py
reads both.
"""

from typing import Final

DESCRIPTIONS: Final[dict[str, str]] = {
    "account.add_second_factor": "Added a second factor",
    "account.change_email": "Changed their e-mail address",
    "account.change_password": "Changed their password",
    "account.end_session": "Ended a session",
    "account.log_in": "Logged in",
    "account.log_in_limited": "Tried to log in too often",
    "account.refuse_code": "Gave a wrong one-time code",
    "account.remove_second_factor": "Removed a second factor",
    "account.rename": "Changed their name",
    "account.renew_recovery_codes": "Made new recovery codes",
    "account.reset_password": "Set a new password by e-mail",
    "account.sign_up": "Signed up",
    "app.add": "Added an app",
    "app.default": "Changed whether an app is the default one",
    "app.disable": "Disabled an app",
    "app.enable": "Enabled an app",
    "audit.export": "Downloaded the audit log",
    "backup.make": "Made a backup",
    "backup.restore": "Restored a backup",
    "credential.add": "Uploaded a credential",
    "credential.check": "Asked the provider about a credential",
    "credential.fall_back": "Changed to the other credential, because the provider refused the key",
    "credential.promote": "Promoted the next credential",
    "credential.refused": "Noted that the provider refuses a credential",
    "credential.remove": "Deleted a credential",
    "credential.reseal": "Sealed credentials with a new key",
    "customer.add": "Took the customer on",
    "customer.contacts": "Changed who gets e-mail about credentials",
    "customer.content": "Changed what of a push's text is handed on",
    "customer.erase": "Erased the customer",
    "customer.export": "Downloaded what the customer owns",
    "customer.rename": "Renamed the customer",
    "customer.resume": "Resumed the customer",
    "customer.suspend": "Suspended the customer",
    "entitlement.change": "Changed what the customer may do",
    "erasure.ask": "Asked for the customer's erasure",
    "invitation.accept": "Accepted an invitation",
    "invitation.add": "Invited somebody",
    "invitation.withdraw": "Withdrew an invitation",
    "key.add": "Made a key",
    "key.revoke": "Revoked a key",
    "limit.change": "Changed a limit",
    "member.leave": "Left the customer",
    "member.remove": "Removed a member",
    "member.role": "Changed a member's role",
    "offer.change": "Changed the offer",
    "person.let_in": "Let a person log in again",
    "person.lock_out": "Locked a person out",
    "second_factor.reseal": "Sealed second factors with a new key",
    "second_factor.reset": "Reset a person's second factor",
    "server.add": "Added a server",
    "server.networks": "Changed where a server may push from",
    "server.prove": "Found the server proven by a signed push",
    "server.rename": "Renamed a server",
    "server.suspect": "Noted something suspicious about a server",
    "server_id.add": "Registered a server_id",
    "server_id.confirm": "Confirmed a server_id",
    "server_id.remove": "Removed a server_id",
    "site.fetch": "Fetched the documents of a server's site",
    "site.forget": "Stopped fetching the documents of a server's site",
    "site.paste": "Pasted the documents of a server's site",
    "staff.add": "Made a person staff",
    "staff.look": "Looked at the customer's pages as staff",
    "staff.remove": "Made a person staff no more",
}


def description(action: str) -> str:
    """The description of an action for people. What is none, such as a noun or one of an older version, is as it is."""
    return DESCRIPTIONS.get(action, action)
