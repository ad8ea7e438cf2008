"""The web process's side of a push: the HTTP API, admission, rate limits, and the group commit into the queue."""
