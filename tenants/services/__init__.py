"""Every change to tenants' rows: one transaction each, validated, audited, notified to the running processes.

All functions take keywords only. An `_add` returns `Changed`: the row, and `changed`, which is False when just this
was there already, so that a script may run twice. They raise ProblemError with one sentence that says what to do.
Customers themselves are made in billing, which decides what each is entitled to.
"""

from tenants.changes import Changed, notify_processes
from tenants.services.app_states import app_change, app_remove
from tenants.services.apps import app_add, app_default, app_enable
from tenants.services.credential_slots import (
    CredentialFault,
    credential_checked,
    credential_promote,
    credential_record_fault,
)
from tenants.services.credentials import credential_add, credential_holds, credential_remove
from tenants.services.customers import customer_contacts, customer_content, customer_rename
from tenants.services.erasing import Erased, customer_erase, erased_forget
from tenants.services.invitations import (
    NewInvitation,
    invitation_accept,
    invitation_add,
    invitation_send,
    invitation_withdraw,
)
from tenants.services.members import OPERATOR, By, Operator, member_leave, member_remove, member_set_role
from tenants.services.remove_holds import remove_hold_release, remove_hold_trip
from tenants.services.resealing import credentials_reseal, reseal
from tenants.services.second_factors import second_factor_reset, second_factors_reseal
from tenants.services.server_states import server_enable, server_remove
from tenants.services.servers import (
    NewKey,
    key_add,
    key_revoke,
    server_add,
    server_id_add,
    server_id_confirm,
    server_id_remove,
    server_networks,
    server_rename,
)
from tenants.services.staff import password_link, staff_add, staff_remove, staff_role

__all__ = [
    "OPERATOR",
    "By",
    "Changed",
    "CredentialFault",
    "Erased",
    "NewInvitation",
    "NewKey",
    "Operator",
    "app_add",
    "app_change",
    "app_default",
    "app_enable",
    "app_remove",
    "credential_add",
    "credential_checked",
    "credential_holds",
    "credential_promote",
    "credential_record_fault",
    "credential_remove",
    "credentials_reseal",
    "customer_contacts",
    "customer_content",
    "customer_erase",
    "customer_rename",
    "erased_forget",
    "invitation_accept",
    "invitation_add",
    "invitation_send",
    "invitation_withdraw",
    "key_add",
    "key_revoke",
    "member_leave",
    "member_remove",
    "member_set_role",
    "notify_processes",
    "password_link",
    "remove_hold_release",
    "remove_hold_trip",
    "reseal",
    "second_factor_reset",
    "second_factors_reseal",
    "server_add",
    "server_enable",
    "server_id_add",
    "server_id_confirm",
    "server_id_remove",
    "server_networks",
    "server_remove",
    "server_rename",
    "staff_add",
    "staff_remove",
    "staff_role",
]
