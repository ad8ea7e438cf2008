"""What is seen from outside: the metrics page and the readiness of a web process."""
