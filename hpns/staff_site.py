"""The staff's admin site."""

from tenants.staff_pages import StaffPages


class StaffSite(StaffPages):
    """Django's own, with our names."""

    site_header = site_title = "Push notification service"
    index_title = "Staff"
