"""The delivery's pages."""
