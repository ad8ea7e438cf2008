"""The SLA "sla-1": judged by pure functions, kept in a ledger that customers verify, credited by itself."""
