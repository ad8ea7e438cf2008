"""Offboarding of a customer: the export of what it owns, its erasure, and the pages for both."""
