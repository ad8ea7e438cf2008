"""The staff's admin of servers, keys and the audit log, and what all admin pages are made of.

Django imports this module, which registers what is in it.
"""

from tenants.admin import audit, servers
from tenants.admin.base import PlainForm, ReadOnlyAdmin, SecretSafeAdmin, ServiceAdmin, ServiceForm, may_reach, may_see

__all__ = [
    "PlainForm",
    "ReadOnlyAdmin",
    "SecretSafeAdmin",
    "ServiceAdmin",
    "ServiceForm",
    "audit",
    "may_reach",
    "may_see",
    "servers",
]
