"""Settings of people's accounts, part of hpns/settings.py: by invitation, logged in by e-mail address and password, and
a second factor where there is one.

django-allauth's; what each stands for is in tenants/accounts/allauth_adapters.py. Limits on one-time codes are its own.
"""

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
SESSION_SERIALIZER = "tenants.accounts.sealed_sessions.Serializer"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "account-start"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "tenants.accounts.allauth_adapters.AccountAdapter"
_FORMS = "tenants.accounts.forms."
_ASKS = {"signup": "Signup", "login": "Login", "reset_password": "ResetPassword", "reauthenticate": "Reauthenticate"}
ACCOUNT_FORMS = {name: f"{_FORMS}{form}Form" for name, form in _ASKS.items()}
MFA_FORMS = {"authenticate": f"{_FORMS}FactorForm", "reauthenticate": f"{_FORMS}FactorAgainForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_PREVENT_ENUMERATION = True
# A code by e-mail would make whoever reads the mailbox the owner of the second factor.
ACCOUNT_REAUTHENTICATION_METHODS = ("password", "mfa")
# Whoever finds a session open must not make the account theirs by another e-mail address and a new password.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Seconds after a login in which keys, credentials and the like are changed without the password.
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
# Else the form for a new password would be a way to write to the whole world in our name. Attempts at a password are
# limited by tenants/accounts/login_limits.py.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_RATE_LIMITS = {"reset_password": "20/h/ip,3/h/key"}
ACCOUNT_SESSION_REMEMBER = False
# At the latest; sooner when nothing is done (tenants/accounts/sessions.py).
SESSION_COOKIE_AGE = 7 * 86_400
ACCOUNT_USER_DISPLAY = "tenants.accounts.allauth_adapters.display"
MFA_ADAPTER = "tenants.accounts.allauth_adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Push notification service"
# A clock may be half a minute off; a code is good once all the same.
MFA_TOTP_TOLERANCE = 1
