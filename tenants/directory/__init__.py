"""The in-memory read model of tenants for the hot path: snapshot, lookup, version stamp, and how it is kept fresh."""
