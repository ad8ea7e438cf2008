"""bin/bench growth: pages, rollups and retention on a database of a service that has grown."""
