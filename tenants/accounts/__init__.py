"""People's accounts: django-allauth's adapters, sessions, second factors, and the pages about one's own account."""
