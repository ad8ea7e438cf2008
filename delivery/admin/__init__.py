"""The staff's view of the delivery in Django's admin. Django imports this module, which registers what is in it."""

from delivery.admin import apps, deliveries

__all__ = ["apps", "deliveries"]
