"""Every URL, and what each visitor gets of it: the data of test_permissions.py.

What is expected for each method, in the order of VISITORS: a status, several that are all right, or LOGIN for the way
to the login page. Machines' endpoints do not go through urls.py: those for pushes are in
tests/tenants/test_authentication.py, health, metrics and version in tests/hpns/watching/.
"""

from typing import Any, Final

from tests.permission_rows import (
    ADMIN_LOGIN,
    GUEST,
    LOGIN,
    NOTHING_TO_SHOW,
    Row,
    all_get,
    by_post,
    for_reading,
    members_get,
    mine,
    of_customer,
    of_person,
    of_staff,
    of_visitor,
)

_SERVER: Final = "c/<slug:slug>/servers/<uuid:server>/"
_NONE: Final = "00000000-0000-4000-8000-000000000000"
BOARDS: Final = ("", "volume/", "silent/", "unknown/", "providers/", "dead-letters/")
_CREDENTIAL: Final = "c/<slug:slug>/apps/<int:app>/credentials/<int:credential>/"

# Route, as urls.py spells it -> what is told.
TABLE: Final[dict[str, Row]] = {
    "": for_reading("/", all_get(200)),
    "docs/": for_reading("/docs/", all_get(200)),
    **{each: for_reading(f"/{each}", all_get(302)) for each in ("admin", "docs", "status")},
    "c/<slug:slug>/<path:rest>": of_customer("no/such/page/", members_get(404, 404, 404, staff=404)),
    "t/<str:key>": for_reading("/t/hk_x", all_get(200)),
    "t/<str:key>/": for_reading("/t/hk_x/", all_get(200)),
    "c/<slug:slug>/audit/": of_customer("audit/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/audit.csv": of_customer("audit.csv", members_get(403, 200, 200, staff=403)),
    "c/<slug:slug>/delivery/pushes/": of_customer("delivery/pushes/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/delivery/pushes.csv": of_customer("delivery/pushes.csv", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/delivery/live/": of_customer("delivery/live/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/": of_customer("", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/servers/": of_customer(
        "servers/", members_get(200, 200, 200, staff=200), members_get(403, 200, 200, staff=403)
    ),
    # No server, app, key or credential of these numbers is there: to whoever may, that is said.
    f"{_SERVER}": of_customer(f"servers/{_NONE}/", members_get(404, 404, 404, staff=404)),
    f"{_SERVER}arrived/": of_customer(f"servers/{_NONE}/arrived/", members_get(404, 404, 404, staff=404)),
    **{
        f"{_SERVER}{act}/": of_customer(
            f"servers/{_NONE}/{act}/", members_get(404, 404, 404, staff=404), members_get(403, 404, 404, staff=403)
        )
        for act in ("disable", "remove")
    },
    f"{_SERVER}enable/": by_post(f"servers/{_NONE}/enable/", 403, 404, 404),
    f"{_SERVER}rename/": by_post(f"servers/{_NONE}/rename/", 403, 404, 404),
    f"{_SERVER}networks/": by_post(f"servers/{_NONE}/networks/", 403, 404, 404),
    f"{_SERVER}site/": by_post(f"servers/{_NONE}/site/", 403, 404, 404),
    f"{_SERVER}site/forget/": by_post(f"servers/{_NONE}/site/forget/", 403, 404, 404),
    f"{_SERVER}site/paste/": of_customer(
        f"servers/{_NONE}/site/paste/", members_get(403, 404, 404, staff=403), members_get(403, 404, 404, staff=403)
    ),
    f"{_SERVER}ids/": by_post(f"servers/{_NONE}/ids/", 403, 404, 404),
    f"{_SERVER}ids/<int:server_id>/remove/": by_post(f"servers/{_NONE}/ids/0/remove/", 403, 404, 404),
    f"{_SERVER}keys/": by_post(f"servers/{_NONE}/keys/", 403, 404, 404),
    f"{_SERVER}keys/<str:prefix>/revoke/": of_customer(
        f"servers/{_NONE}/keys/x/revoke/", members_get(404, 404, 404, staff=404), members_get(403, 404, 404, staff=403)
    ),
    "c/<slug:slug>/delivery/": of_customer("delivery/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/delivery/counts.csv": of_customer("delivery/counts.csv", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/apps/": of_customer(
        "apps/", members_get(200, 200, 200, staff=200), members_get(403, 200, 200, staff=403)
    ),
    "c/<slug:slug>/apps/<int:app>/": of_customer("apps/0/", members_get(404, 404, 404, staff=404)),
    **{
        f"c/<slug:slug>/apps/<int:app>/{act}/": of_customer(
            f"apps/0/{act}/", members_get(404, 404, 404, staff=404), members_get(403, 404, 404, staff=403)
        )
        for act in ("change", "disable", "remove")
    },
    "c/<slug:slug>/apps/<int:app>/enable/": by_post("apps/0/enable/", 403, 404, 404),
    "c/<slug:slug>/apps/<int:app>/credentials/": by_post("apps/0/credentials/", 403, 404, 404),
    "c/<slug:slug>/apps/removes/<int:hold>/release/": by_post("apps/removes/0/release/", 403, 403, 404),
    f"{_CREDENTIAL}check/": by_post("apps/0/credentials/0/check/", 403, 404, 404),
    f"{_CREDENTIAL}promote/": by_post("apps/0/credentials/0/promote/", 403, 404, 404),
    f"{_CREDENTIAL}remove/": of_customer(
        "apps/0/credentials/0/remove/", members_get(404, 404, 404, staff=404), members_get(403, 404, 404, staff=403)
    ),
    "c/<slug:slug>/delivery/devices/": of_customer(
        "delivery/devices/", members_get(200, 200, 200, staff=200), members_get(200, 200, 200, staff=200)
    ),
    # Nothing of this device is known to anybody.
    "c/<slug:slug>/delivery/devices/<slug:device>/": of_customer(
        f"delivery/devices/{'0' * 32}/", members_get(404, 404, 404, staff=404)
    ),
    "c/<slug:slug>/delivery/providers/": of_customer("delivery/providers/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/test/": of_customer(
        "test/", members_get(200, 200, 200, staff=200), members_get(403, 200, 200, staff=403)
    ),
    "c/<slug:slug>/test/live/": of_customer("test/live/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/test/<slug:ack_id>/": of_customer("test/x/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/delivery/<trace:trace>/": of_customer(
        "delivery/0123456789ab-1/", members_get(404, 404, 404, staff=404)
    ),
    "c/<slug:slug>/delivery/posts/<str:post_id>/": of_customer(
        "delivery/posts/x/", members_get(404, 404, 404, staff=404)
    ),
    # It changes nothing, so that staff who look on may search as well.
    "c/<slug:slug>/search/": of_customer(
        "search/", members_get(200, 200, 200, staff=200), members_get(302, 302, 302, staff=302)
    ),
    "status/": for_reading("/status/", all_get(200)),
    "status/status.json": for_reading("/status/status.json", all_get(200)),
    "status/feed.atom": for_reading("/status/feed.atom", all_get(200)),
    "status/subscribe/": Row("/status/subscribe/", all_get(200), all_get(405), all_get(200)),
    # Nobody made these links.
    "status/confirm/<str:token>/": Row("/status/confirm/x/", all_get(404), all_get(405), all_get(404)),
    "status/leave/<str:token>/": Row("/status/leave/x/", all_get(404), all_get(405), all_get(404)),
    "codes/": for_reading("/codes/", all_get(200)),
    "codes/<str:code>/": for_reading("/codes/apns_bad_topic/", all_get(200)),
    # Nothing is measured yet; no day is sealed.
    "c/<slug:slug>/sla/": of_customer("sla/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/sla/files/<int:year>-<int:number>.zip": of_customer(
        "sla/files/2026-1.zip", members_get(404, 404, 404, staff=404)
    ),
    # It changes nothing, so that staff who look on may hold ids against it as well.
    "c/<slug:slug>/sla/reconcile/": of_customer(
        "sla/reconcile/", members_get(200, 200, 200, staff=200), members_get(200, 200, 200, staff=200)
    ),
    # Asked by programs, with a server key: a login is none (tests/billing/sla/test_reconcile_api.py).
    "api/v1/sla/reconcile": Row("/api/v1/sla/reconcile", all_get(405), all_get(405), all_get((401, 429))),
    "sla/verify_sla.py": for_reading("/sla/verify_sla.py", all_get(200)),
    ".well-known/hpns-sla.json": for_reading("/.well-known/hpns-sla.json", all_get(200)),
    "admin/boards/sla/": of_staff("/admin/boards/sla/", 200),
    "c/<slug:slug>/subscription/": of_customer("subscription/", members_get(200, 200, 200, staff=200)),
    # Without a subscription, and without a plan that can be chosen, the next three lead back.
    "c/<slug:slug>/subscription/cancel/": of_customer(
        "subscription/cancel/", members_get(403, 403, 302, staff=403), members_get(403, 403, 302, staff=403)
    ),
    "c/<slug:slug>/subscription/keep/": by_post("subscription/keep/", 403, 403, 302),
    "c/<slug:slug>/subscription/change/": of_customer(
        "subscription/change/", members_get(403, 403, 302, staff=403), members_get(403, 403, 302, staff=403)
    ),
    "c/<slug:slug>/usage/": of_customer("usage/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/usage.csv": of_customer("usage.csv", members_get(200, 200, 200, staff=200)),
    # It was before anybody counted: to whoever may, that is said.
    "c/<slug:slug>/usage/<str:month>/": of_customer("usage/2001-01/", members_get(404, 404, 404, staff=404)),
    "c/<slug:slug>/usage/<str:month>.csv": of_customer("usage/2001-01.csv", members_get(302, 302, 302, staff=302)),
    "c/<slug:slug>/settings/": of_customer("settings/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/settings/name/": by_post("settings/name/", 403, 200, 200),
    "c/<slug:slug>/settings/content/": by_post("settings/content/", 403, 200, 200),
    "c/<slug:slug>/settings/contacts/": by_post("settings/contacts/", 403, 302, 302),
    "c/<slug:slug>/settings/export/": of_customer(
        "settings/export/", members_get(403, 403, 200, staff=403), members_get(403, 403, 200, staff=403)
    ),
    "c/<slug:slug>/settings/erase/": of_customer(
        "settings/erase/", members_get(403, 403, 200, staff=403), members_get(403, 403, 200, staff=403)
    ),
    "c/<slug:slug>/invoices/": of_customer("invoices/", members_get(403, 200, 200, staff=403)),
    "c/<slug:slug>/invoices.csv": of_customer("invoices.csv", members_get(403, 200, 200, staff=403)),
    "c/<slug:slug>/invoices/billing/": by_post("invoices/billing/", 403, 403, 200),
    # No document of this number is there.
    **{
        f"c/<slug:slug>/invoices/<slug:number>{end}": of_customer(
            f"invoices/INV-2026-00001{end}", members_get(403, 404, 404, staff=403)
        )
        for end in ("/", ".pdf", ".csv")
    },
    "c/<slug:slug>/licence/": of_customer(
        "licence/", members_get(200, 200, 200, staff=200), members_get(403, 403, 200, staff=403)
    ),
    "c/<slug:slug>/licence/<int:proof>/server/": of_customer(
        "licence/0/server/", members_get(405, 405, 405, staff=405), members_get(403, 403, 404, staff=403)
    ),
    "c/<slug:slug>/licence/<int:proof>/withdraw/": of_customer(
        "licence/0/withdraw/", members_get(404, 404, 404, staff=404), members_get(403, 403, 404, staff=403)
    ),
    "c/<slug:slug>/people/": of_customer("people/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/people/leave/": of_customer(
        "people/leave/", members_get(200, 200, 200, staff=200), members_get(302, 302, 302, staff=403)
    ),
    "c/<slug:slug>/people/invite/": by_post("people/invite/", 403, 200, 200),
    "c/<slug:slug>/people/invitations/<int:pk>/again/": by_post("people/invitations/0/again/", 403, 404, 404),
    "c/<slug:slug>/people/invitations/<int:pk>/withdraw/": by_post("people/invitations/0/withdraw/", 403, 404, 404),
    "c/<slug:slug>/people/<int:pk>/role/": by_post("people/0/role/", 403, 404, 404),
    "c/<slug:slug>/people/<int:pk>/remove/": of_customer(
        "people/0/remove/", members_get(403, 404, 404, staff=403), members_get(403, 404, 404, staff=403)
    ),
    "invitation/": Row("/invitation/", all_get(404), all_get(405), all_get(404)),
    "invitation/<str:token>/": Row("/invitation/x/", all_get(404), all_get(405), all_get(404)),
    "account/": Row("/account/", mine(200), all_get(405), mine(200)),
    "account/start/": Row("/account/start/", mine(302), all_get(405), all_get(405)),
    "account/customers/": Row("/account/customers/", mine(200), all_get(405), all_get(405)),
    "account/second-factor/": Row("/account/second-factor/", mine(200), all_get(405), all_get(405)),
    "account/sessions/<int:pk>/end/": Row("/account/sessions/0/end/", all_get(405), all_get(405), mine(404)),
    "account/login/": Row("/account/login/", GUEST, (405, *(302,) * 6), GUEST),
    "account/logout/": Row("/account/logout/", mine(200), all_get(405), all_get(LOGIN)),
    "account/signup/": Row("/account/signup/", GUEST, GUEST, GUEST),
    "account/inactive/": of_visitor("inactive/", post=405),
    "account/password/reset/": of_visitor("password/reset/"),
    "account/password/reset/done/": of_visitor("password/reset/done/", post=405),
    "account/password/reset/key/done/": of_visitor("password/reset/key/done/", post=405),
    "^account/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": of_visitor(
        "password/reset/key/1-x/", delete=200
    ),
    "account/confirm-email/": of_person("confirm-email/", 302, 302, 302),
    "account/email/": of_person("email/", 200, 302),
    "account/password/change/": of_person("password/change/", 302, 302, 302),
    "account/password/set/": of_person("password/set/", 200, 200),
    "account/reauthenticate/": of_person("reauthenticate/", NOTHING_TO_SHOW, NOTHING_TO_SHOW, NOTHING_TO_SHOW),
    "account/sessions/": of_person("sessions/", 200, 302),
    "account/2fa/": of_person("2fa/", 200, 405),
    "account/2fa/authenticate/": of_person("2fa/authenticate/", 302, 302, 302),
    "account/2fa/reauthenticate/": of_person("2fa/reauthenticate/", NOTHING_TO_SHOW, NOTHING_TO_SHOW, NOTHING_TO_SHOW),
    "account/2fa/recovery-codes/": of_person("2fa/recovery-codes/", 404, 405),
    "account/2fa/recovery-codes/download/": of_person("2fa/recovery-codes/download/", 404, 404, 404),
    "account/2fa/recovery-codes/generate/": of_person("2fa/recovery-codes/generate/", 200, 200),
    "account/2fa/totp/activate/": of_person("2fa/totp/activate/", 200, 200),
    "account/2fa/totp/deactivate/": of_person("2fa/totp/deactivate/", 404, 404, 404),
    "account/2fa/webauthn/": of_person("2fa/webauthn/", 200, 405),
    "account/2fa/webauthn/add/": of_person("2fa/webauthn/add/", 200, 200),
    "account/2fa/webauthn/keys/<int:pk>/edit/": of_person("2fa/webauthn/keys/0/edit/", 404, 404),
    "account/2fa/webauthn/keys/<int:pk>/remove/": of_person("2fa/webauthn/keys/0/remove/", 404, 404, 404),
    # Attempts are limited, and seven visitors of one address are more than that.
    "account/2fa/webauthn/login/": Row("/account/2fa/webauthn/login/", mine(302), (405, *(302,) * 6), mine((302, 429))),
    "account/2fa/webauthn/reauthenticate/": of_person(
        "2fa/webauthn/reauthenticate/", NOTHING_TO_SHOW, NOTHING_TO_SHOW, NOTHING_TO_SHOW
    ),
    "admin/": of_staff("/admin/"),
    "admin/find/": of_staff("/admin/find/", 200),
    # Read only: a form that is sent there is answered as the page is.
    **{f"admin/boards/{each}": of_staff(f"/admin/boards/{each}", 200) for each in BOARDS},
    # It leads on: to the login, to a second factor, or in. Whoever is no staff is refused.
    "admin/login/": Row("/admin/login/", ADMIN_LOGIN, ADMIN_LOGIN, ADMIN_LOGIN),
    "admin/logout/": Row("/admin/logout/", *(((*(302,) * 6, 307),) * 3)),
    "admin/password_change/": of_staff("/admin/password_change/", 302, 302),
    "admin/password_change/done/": of_staff("/admin/password_change/done/", 200, 405, 405),
    "admin/autocomplete/": of_staff("/admin/autocomplete/", 403, 405, 405),
    "admin/jsi18n/": of_staff("/admin/jsi18n/", 200, 405, 405),
    "admin/r/<path:content_type_id>/<path:object_id>/": of_staff("/admin/r/1/1/", 404, 404),
    "admin/(?P<url>.*)$": of_staff("/admin/nothing/", 404, 404),
    "admin/^(?P<app_label>": of_staff("/admin/tenants/"),
}
# The model pages of the admin are many and alike: their route ends in one of these.
NO_ROW: Final = "999999"
MODEL_PAGES: Final[dict[str, tuple[Any, Any]]] = {
    "": (200, (200, 302)),
    "add/": ((200, 403), (200, 403)),
    "<path:object_id>/": (302, 302),
    "<path:object_id>/history/": (302, 302),
    "<path:object_id>/delete/": ((302, 403), (302, 403)),
    "<path:object_id>/change/": ((302, 403), (302, 403)),
    "<id>/password/": (404, 404),
    **{f"<path:object_id>/{act}/": (302, 302) for act in ("payment", "credit", "refund", "exchange")},
}


def row(route: str) -> Row | None:
    """What is told of a route; None when it is in no table."""
    found = TABLE.get("admin/^(?P<app_label>" if route.startswith("admin/^(?P<app_label>") else route)
    parts = route.split("/", 3)
    if found is None and len(parts) == 4 and parts[0] == "admin" and parts[3] in MODEL_PAGES:
        page = parts[3].replace("<path:object_id>", NO_ROW).replace("<id>", NO_ROW)
        found = of_staff(f"/admin/{parts[1]}/{parts[2]}/{page}", *MODEL_PAGES[parts[3]])
    return found
