"""The audit log: recording events, reading them, and who acts."""
