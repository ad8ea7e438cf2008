"""Template tags and filters of the delivery."""
