"""Pages about subscriptions, licences, usage, the SLA and invoices."""
