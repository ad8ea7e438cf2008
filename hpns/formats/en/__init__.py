"""The only language that pages speak."""
