"""The staff's view of the delivery in Django's admin. Django imports this module, which registers what is in it."""

from delivery.admin import apps, deliveries, remove_holds

__all__ = ["apps", "deliveries", "remove_holds"]
