"""The tags and filters that the templates use."""
