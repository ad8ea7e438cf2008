"""The delivery log: rows written in bulk, partitions by day, and erasure."""
