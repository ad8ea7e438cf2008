"""What web processes and workers share in Valkey: the connection, the batch format, and the use of keys."""
