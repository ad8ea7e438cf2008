"""The Django app "billing"."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """See the package docstring for what this app owns."""

    name = "billing"
