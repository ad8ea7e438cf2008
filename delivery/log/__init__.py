"""The delivery log: rows written in bulk, partitions by day, erasure, and a push's timeline."""
