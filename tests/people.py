"""People for the tests: Ada owns Acme, Ben views it, Cleo is a stranger of Cosmos; and how each logs in."""

import time
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.test import Client

PASSWORD = "correct horse battery staple"


def person(name: str, *, staff: bool = False, password: str = PASSWORD) -> User:
    """Somebody with a verified address, NAME@example.com."""
    email = f"{name}@example.com"
    user = User.objects.create_user(name, email, password, is_staff=staff, is_superuser=staff)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def browser(user: User | None = None, *, second_factor: bool = False, **settings: Any) -> Client:
    """A browser in which somebody is logged in, by a password and, if asked for, a second factor."""
    client = Client(**settings)
    if user is not None:
        client.force_login(user)
        records = [{"method": "password", "at": time.time()}]
        if second_factor:
            records.append({"method": "mfa", "at": time.time(), "type": "totp"})
        session = client.session
        session["account_authentication_methods"] = records
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
    return client


def staff_browser() -> Client:
    """A browser of a member of the staff, who has shown a second factor."""
    return browser(person("staff", staff=True), second_factor=True)
