"""System checks of the deployment: settings, database roles, stores, TLS; and what a process needs before it starts."""
