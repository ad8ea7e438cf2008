"""The delivery's pages for customers: apps with their credentials, and test pushes."""
