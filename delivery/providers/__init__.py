"""Send one push to Apple or Google and say what came of it. No Django, no database, no retry: one try, one Attempt."""
