"""Models of customers, their people, servers and keys, and the apps that can be signed for.

The database itself refuses what would be ambiguous on the path of a push: two enabled apps of one owner for one label,
two defaults for a family, two current credentials of an app, one server_id that is confirmed for two servers. Rows are
changed through the services, which tell the running processes and write the audit log; a row that is changed in another
way is noticed within a minute only.
"""

from tenants.models.apps import Credential, PushApp
from tenants.models.audit import AuditEvent
from tenants.models.customers import Customer, Entitlement
from tenants.models.people import Invitation, Membership, Role
from tenants.models.proofs import Finding, Proof, Site
from tenants.models.remove_holds import RemoveHold
from tenants.models.servers import Rejection, Server, ServerId, ServerKey, Sighting, UnknownCaller, Use

__all__ = [
    "AuditEvent",
    "Credential",
    "Customer",
    "Entitlement",
    "Finding",
    "Invitation",
    "Membership",
    "Proof",
    "PushApp",
    "Rejection",
    "RemoveHold",
    "Role",
    "Server",
    "ServerId",
    "ServerKey",
    "Sighting",
    "Site",
    "UnknownCaller",
    "Use",
]
