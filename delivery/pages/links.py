"""Addresses of pages, for code that names those which may not be there."""

from django.urls import NoReverseMatch, reverse


def page_url(name: str, *args: object) -> str:
    """The address of a page; "" where there is no page of this name."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""
