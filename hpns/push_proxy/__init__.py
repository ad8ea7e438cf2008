"""Taking over the configuration of the reference push proxy."""
