"""The service on one machine: what `bin/run` and `bin/test` are made of.

Real PostgreSQL and real Valkey from wheels, a supervisor for the processes, and the demo. It starts, watches and stops
processes; the service itself never imports it. Invariant: whatever it starts ends with it, however it ends.
"""
