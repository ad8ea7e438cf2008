"""A customer leaves: the export of what it owns, its erasure, and the pages for both."""
