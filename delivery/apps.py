"""Django's name for this app."""

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """See the package docstring for what this app owns."""

    name = "delivery"
    default_auto_field = "django.db.models.BigAutoField"
