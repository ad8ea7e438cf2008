"""What the figures of a customer mean: sentences, troubles and whose they are, for pages."""
