"""Django's PostgreSQL backend, with a deadline for every wait; settings name it as ENGINE."""
