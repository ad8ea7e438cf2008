"""Structured logging of every process, and the redaction of secrets and content."""
