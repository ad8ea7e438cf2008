"""Every model with a tenant's rows, named one by one: a new one is put here on purpose."""

from billing.models import (
    BillingProfile,
    Invoice,
    InvoiceDraft,
    InvoiceFile,
    InvoiceMail,
    LastStanding,
    LedgerEntry,
    LicenceCase,
    LicenceProof,
    Override,
    PlanChange,
    Subscription,
    SubscriptionMail,
)
from billing.sla import forgetting as sla_forgetting
from billing.usage import forgetting as usage_forgetting
from delivery.models import ActiveDevice, Day, Delivery, Device, DeviceCount, Hour, Minute, PlatformSighting, Receipt
from tenants.models import (
    AuditEvent,
    Credential,
    Customer,
    Entitlement,
    Finding,
    Invitation,
    Membership,
    Proof,
    PushApp,
    Rejection,
    Server,
    ServerId,
    ServerKey,
    Sighting,
    Site,
)

ALL = {
    *(AuditEvent, Credential, Customer, Delivery, Entitlement, Invitation, Membership, PushApp, Server, ServerId),
    *(Rejection, ServerKey, Sighting, Receipt, Minute, Hour, Day, Device, ActiveDevice, DeviceCount, PlatformSighting),
    *(BillingProfile, Invoice, InvoiceDraft, InvoiceFile, InvoiceMail, LedgerEntry),
    *(Site, Proof, Finding),
    *(LicenceCase, LicenceProof),
    *(Subscription, Override, PlanChange, LastStanding, SubscriptionMail),
    *sla_forgetting.OF_CUSTOMER,
    *usage_forgetting.ROWS,
}
