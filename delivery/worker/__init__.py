"""The worker's side of a push: routing, dispatch to the providers, judging, retries, and settlement."""
