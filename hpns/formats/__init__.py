"""Formats of dates and times where a template names none, as in the admin: settings.FORMAT_MODULE_PATH."""
