"""Push providers: send one push to Apple or Google. No Django, no database, no retry: one try, one Attempt."""
