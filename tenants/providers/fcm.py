"""Google's push service as customers deal with it: platforms, credential kinds, and what is uploaded for them."""

import codecs
import re
from typing import Final

from tenants.problem import ProblemError
from tenants.providers import google_files
from tenants.providers.base import FileOption, Parsed, Provider, Upload

_LEGACY_KEY: Final = re.compile(rb"(?:AAAA[A-Za-z0-9_-]{7}:APA91b[A-Za-z0-9_-]{100,}|AIza[A-Za-z0-9_-]{35})")


def read(upload: Upload) -> Parsed | None:
    """A service account's key (.json); None for what is neither JSON nor a key of the old interface.

    ProblemError says what else it is, or what is wrong with it.
    """
    text = upload.data.removeprefix(codecs.BOM_UTF8).lstrip()
    if _LEGACY_KEY.fullmatch(text.strip()):
        raise ProblemError(
            "this is a key of Google's old interface, which Google has switched off: give a service account (.json)"
        )
    if not text.startswith((b"{", b"[")):
        return None
    return _account(upload)


def _account(upload: Upload) -> Parsed:
    # The addresses that a service account may name for its access tokens: Google's, and the one of the settings.
    own = f"{upload.setting('GOOGLE_TOKEN_ORIGIN').rstrip('/')}/token"
    return google_files.service_account(upload.data, token_uris=(*google_files.GOOGLE_TOKEN_URIS, own))


FCM: Final = Provider(
    family="fcm",
    name="Google",
    platform="android",
    labels=(
        ("android_rn", "Android (android_rn)"),
        ("android", "Classic Android app of before 2018 (android)"),
    ),
    hosts=(),
    origins=("FCM_ORIGIN", "GOOGLE_TOKEN_ORIGIN"),
    kinds={"fcm_account": "Google service account"},
    files="Google's service account (.json)",
    wanted="Google's .json",
    upload_help="Google's service account (.json): Firebase console, Project settings, Service accounts.",
    upload_fields=frozenset(),
    options=(FileOption("service_account", "Google's service account (.json)", _account),),
    read=read,
    phones="Android phones",
    silence="An Android phone acknowledges even what it does not show. None comes while it is off or without a network,"
    " while a battery saver holds the app back or the app was stopped by force, after the app was removed, and where it"
    " cannot reach its Mattermost server, which passes receipts on.",
)
"""The kind's secret: fcm_account {"account_json"}."""
