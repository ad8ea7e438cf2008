"""What a quiet customer notices of others: its latencies alone and beside each flood (see __main__.py)."""
