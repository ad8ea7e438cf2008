"""URLs of accounts and invitations. Each page of django-allauth that is in use is named here, and no other."""

from allauth.account import views as theirs
from django.urls import include, path, re_path

from tenants.accounts import invitation_views, second_factor_views, views

urlpatterns = [
    path("account/", views.profile, name="account"),
    path("account/start/", views.start, name="account-start"),
    path("account/customers/", views.customers, name="account-customers"),
    path("account/second-factor/", second_factor_views.second_factor, name="account-second-factor"),
    path("account/login/", theirs.login, name="account_login"),
    path("account/logout/", theirs.logout, name="account_logout"),
    path("account/inactive/", theirs.account_inactive, name="account_inactive"),
    path("account/signup/", theirs.signup, name="account_signup"),
    path("account/reauthenticate/", theirs.reauthenticate, name="account_reauthenticate"),
    path("account/email/", theirs.email, name="account_email"),
    path("account/confirm-email/", theirs.email_verification_sent, name="account_email_verification_sent"),
    path("account/password/change/", theirs.password_change, name="account_change_password"),
    path("account/password/set/", theirs.password_set, name="account_set_password"),
    path("account/password/reset/", theirs.password_reset, name="account_reset_password"),
    path("account/password/reset/done/", theirs.password_reset_done, name="account_reset_password_done"),
    path(
        "account/password/reset/key/done/",
        theirs.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^account/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        theirs.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    # The first two take the place of django-allauth's own of the same address.
    path("account/2fa/totp/activate/", second_factor_views.ActivateApp.as_view(), name="mfa_activate_totp"),
    path("account/2fa/webauthn/add/", second_factor_views.AddKey.as_view(), name="mfa_add_webauthn"),
    path("account/2fa/", include("allauth.mfa.urls")),
    path("account/sessions/", include("allauth.usersessions.urls")),
    path("account/sessions/<int:pk>/end/", views.end_session, name="account-end-session"),
    path("invitation/", invitation_views.in_session, name="invitation"),
    path("invitation/<str:token>/", invitation_views.by_token, name="invitation-token"),
]
