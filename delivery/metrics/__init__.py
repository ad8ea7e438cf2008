"""Metrics of the delivery: their names, the counters in each process, and the files in which processes share them."""
