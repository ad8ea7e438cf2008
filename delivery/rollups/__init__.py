"""Counts of pushes per minute and hour, with their latencies: what pages, SLA and bills read in place of the log."""
