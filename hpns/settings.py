"""All settings, read from the environment; .env.example lists every variable with its meaning.

There is no second settings file for production: what differs between machines differs in the environment. Only
settings_test.py changes three things for speed.
"""

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from hpns import variables, version

BASE_DIR = Path(__file__).resolve().parent.parent
env = variables.Variables()
if env.bool("READ_DOT_ENV", default=True):
    variables.Variables.read_env(BASE_DIR / ".env")

# --- Secrets. Each can come from a file: NAME_FILE names it (Docker and systemd hand secrets over as files).


def secret(name: str) -> str:
    """The secret `name` from the environment, or from the file that `name`_FILE names; "" when neither is set.

    Raises ImproperlyConfigured when the file cannot be read: a wrong path must not become an empty secret.
    """
    path = env.str(f"{name}_FILE", default="")
    if not path:
        return str(env.str(name, default=""))
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error


SECRET_KEY = secret("SECRET_KEY")
VAULT_KEYS = [part.strip() for part in secret("VAULT_KEYS").split(",") if part.strip()]
HASH_KEY = variables.key("HASH_KEY", secret("HASH_KEY"))

# --- The web

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default="")
# TLS files of the front door; empty = plain HTTP (a proxy in front does TLS, or a trial on one machine).
TLS_CERT_FILE = env.str("TLS_CERT_FILE", default="")
TLS_KEY_FILE = env.str("TLS_KEY_FILE", default="")
# True where browsers reach the pages over https, be it through TLS_CERT_FILE or through a proxy.
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=bool(TLS_CERT_FILE) or PUBLIC_URL.startswith("https:"))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
# Of this host alone: a neighbour cannot set them. Browsers take the prefix with Secure only.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = variables.cookie_names(HTTPS_ONLY)
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000 if HTTPS_ONLY else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
# Networks of proxies of ours: what they say in X-Forwarded-For and X-Forwarded-Proto is believed (tenants/network.py).
TRUSTED_PROXIES = variables.networks("TRUSTED_PROXIES", env.list("TRUSTED_PROXIES", default=[]))
# Networks from which server keys are taken over plain HTTP as well, such as a LAN; this machine always may.
PLAIN_HTTP_FROM = variables.networks("PLAIN_HTTP_FROM", env.list("PLAIN_HTTP_FROM", default=[]))
# Where the web process listens, and how many of it there are; its options count before these (hpns/ingest.py).
HOST, PORT = env.str("HOST", default="127.0.0.1"), env.int("PORT", default=8066)
INGEST_WORKERS = env.int("INGEST_WORKERS", default=1)
# Never a redirect for machines: a 301 turns a push into a GET and loses it (PROTOCOL of the push proxy). Browsers are
# told by HSTS instead.
SECURE_SSL_REDIRECT = False
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
X_FRAME_OPTIONS = "DENY"
APPEND_SLASH = False
# The web process lets no larger body through than a credential's, and for most pages less (web/pages_proxy.py), so that
# a body is in memory and none is ever written to a disk.
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = 640 * 1024
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]

# --- Stores

# Four roles: the owner of the tables (migrations, partitions, commands); the pages', whom row-level security binds;
# the worker's, whom it does not (the log); and the directory's, which only reads, for web and pages processes.
DATABASE_URL = secret("DATABASE_URL")
PAGES_DATABASE_URL = secret("PAGES_DATABASE_URL")
WORKER_DATABASE_URL = secret("WORKER_DATABASE_URL")
DIRECTORY_DATABASE_URL = secret("DIRECTORY_DATABASE_URL")
# Which of them this process is, by its entry point. One whose URL is not set is the owner.
DATABASE_ROLE = env.str("DATABASE_ROLE", default="owner")
_URLS = {"pages": PAGES_DATABASE_URL, "worker": WORKER_DATABASE_URL, "directory": DIRECTORY_DATABASE_URL}
DATABASES: dict[str, dict[str, Any]] = variables.databases(DATABASE_ROLE, owner=DATABASE_URL, **_URLS)
# Whoever takes over a page or a request must find no way to the owner of the tables, nor to what writes the log.
DATABASE_URL = variables.owners_url(DATABASE_ROLE, DATABASE_URL, PAGES_DATABASE_URL, WORKER_DATABASE_URL)
WORKER_DATABASE_URL = variables.workers_url(DATABASE_ROLE, WORKER_DATABASE_URL, DIRECTORY_DATABASE_URL)
# The connections for what the process's own role may not do.
OWNER_DATABASE = "owner" if "owner" in DATABASES else "default"
DIRECTORY_DATABASE = "directory" if "directory" in DATABASES else "default"
REDIS_URL = secret("REDIS_URL")
# The same server's Unix socket, where it is on this machine: what goes through the queue costs less there.
REDIS_SOCKET = env.str("REDIS_SOCKET", default="")
# Any broker that Celery knows; RabbitMQ by amqp://. The default is the Valkey above.
CELERY_BROKER_URL = secret("CELERY_BROKER_URL") or REDIS_URL
# Who sends a push: "web" is the process that took it, while all is well; "workers" are the workers alone.
DELIVER_FROM = env.str("DELIVER_FROM", default="web")
# Set by our own supervisor when the two stores are those it has started from wheels.
EMBEDDED_STORES = env.bool("HPNS_EMBEDDED", default=False)
RETENTION_DAYS = env.int("RETENTION_DAYS", default=45)
# Calendar years for which what was agreed on with an erased customer is kept, after the one in which it was erased.
AGREEMENT_YEARS = env.int("AGREEMENT_YEARS", default=6)
# Who issues invoices, as JSON: billing/invoices/seller.py reads it and says what is missing. Empty: none are issued.
SELLER = env.str("SELLER", default="")
# A font file for invoices, for what the bundled one has no letters of (Chinese, Japanese, Korean, Thai, ...).
INVOICE_FONT = env.str("INVOICE_FONT", default="")

# A folder with the public keys of issuers of Mattermost licences (PEM; a file's name is the issuer's); "": none, and no
# licence can be proven. Whether trial licences include the service, too.
LICENCE_KEYS = env.str("LICENCE_KEYS", default="")
LICENCE_TRIALS = env.bool("LICENCE_TRIALS", default=False)

# What the pages' processes share: how often somebody tried to log in, which one-time codes were used.
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "pages",
        # Seconds; a page waits no longer for a Valkey that does not answer.
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}

# --- The push

# Seconds until the waiting server gets its answer, whatever the provider does; Mattermost itself waits 30.
PUSH_DEADLINE = env.float("PUSH_DEADLINE", default=5.0)
# Seconds from acceptance until an attempt without an answer ends as UNKNOWN; below the deadline above.
ATTEMPT_DEADLINE = env.float("ATTEMPT_DEADLINE", default=4.0)
# Bytes of a request body, also after gunzip.
BODY_LIMIT = env.int("BODY_LIMIT", default=256 * 1024)
# Seconds for the whole body of a request to arrive.
BODY_DEADLINE = env.float("BODY_DEADLINE", default=10.0)
# The page of the provider sandbox's phones, where one stands in for Apple and Google; else empty.
SANDBOX_URL = env.str("SANDBOX_URL", default="")
# The free test service: pushes without a key, and customers of that offer. Off: they are told so.
TEST_SERVICE = env.bool("TEST_SERVICE", default=False)
# Whom a suspended customer is told to ask: an e-mail address or a page.
SUPPORT_CONTACT = env.str("SUPPORT_CONTACT", default="") or variables.NO_SUPPORT_CONTACT
# The phones that the service pushes to every minute, to see whether pushes go (billing/incidents/canary.py).
CANARY_DEVICES = [part.strip() for part in secret("CANARY_DEVICES").split(",") if part.strip()]
# How the canary reaches the service where there is no public address.
FRONT_DOOR = f"http://127.0.0.1:{PORT}"
# Pushes that may wait for their answers in one web process; more are refused at once, so that memory has a bound.
WAITING_LIMIT = env.int("WAITING_LIMIT", default=20_000)

# --- Apple and Google

APNS_ORIGIN = env.str("APNS_ORIGIN", default="") or "https://api.push.apple.com"
APNS_SANDBOX_ORIGIN = (
    env.str("APNS_SANDBOX_ORIGIN", default="")
    or env.str("APNS_ORIGIN", default="")
    or "https://api.sandbox.push.apple.com"
)
FCM_ORIGIN = env.str("FCM_ORIGIN", default="") or "https://fcm.googleapis.com"
GOOGLE_TOKEN_ORIGIN = env.str("GOOGLE_TOKEN_ORIGIN", default="") or "https://oauth2.googleapis.com"
PROVIDER_CA_FILE = env.str("PROVIDER_CA_FILE", default="")
# As the reference proxy: the one for plain HTTP counts where there is no other.
HTTPS_PROXY = variables.proxy(
    env.str("HTTPS_PROXY", default=""),
    env.str("https_proxy", default=""),
    env.str("HTTP_PROXY", default=""),
    env.str("http_proxy", default=""),
)
NO_PROXY = env.str("NO_PROXY", default="") or env.str("no_proxy", default="")

# --- Sites of Mattermost servers, whose public documents say who they are (tenants/proofs/fetching.py)

# Networks beside the public ones in which a site may be; none, where customers are strangers to one another.
SITE_PRIVATE_NETWORKS = variables.networks("SITE_PRIVATE_NETWORKS", env.list("SITE_PRIVATE_NETWORKS", default=[]))
# A file of CAs that sites may have their certificates from, beside those of the machine.
SITE_CA_FILE = env.str("SITE_CA_FILE", default="")

# --- E-mail

# Where e-mail goes; without one it is printed by the process that sends it.
EMAIL_URL = secret("EMAIL_URL")
vars().update(variables.email(EMAIL_URL))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="") or "push-service@localhost"
# Who is told about the credentials of the shared apps, and of customers who want to be erased.
OPERATOR_EMAIL: list[str] = env.list("OPERATOR_EMAIL", default=[])

# --- Watching

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="json")
# A folder for the counters of all processes, so that one page shows all of them; empty = each process shows its own.
METRICS_DIR = env.str("METRICS_DIR", default="")
# Whoever may read /metrics: the bearer of this token; without one, callers from this machine (behind a proxy: nobody).
METRICS_TOKEN = secret("METRICS_TOKEN")
# A folder that the status page is written to every minute, to be served from elsewhere; empty = it is not.
STATUS_DIR = env.str("STATUS_DIR", default="")
VERSION = version.VERSION

# --- Django

INSTALLED_APPS = [
    "hpns.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.forms",
    "django_htmx",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "hpns.apps.HpnsConfig",
    "billing.apps.BillingConfig",
    "delivery.apps.DeliveryConfig",
    "tenants.apps.TenantsConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "hpns.web.security_headers.PageHeaders",
    "hpns.web.page_gates.AdmittedCustomer",
    # Above WhiteNoise, so that scripts and styles are packed as well.
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Before whatever could ask for a row: from here on a page reaches none until it says whose.
    "tenants.scope.PageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "tenants.accounts.sessions.SessionEnds",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "hpns.urls"
TEMPLATES = variables.templates(BASE_DIR / "templates", "hpns.pages.context.page")
FORM_RENDERER = "hpns.pages.forms.Renderer"
# No authenticator, parser or renderer of DRF's defaults: each machine endpoint names its own, deny by default.
_NONE: dict[str, list[str]] = {"DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": []}
REST_FRAMEWORK: dict[str, Any] = {**_NONE, "UNAUTHENTICATED_USER": None}
# --- People: accounts by invitation, logged in by e-mail address and password, and a second factor where there is one.
# django-allauth; what it stands for is in tenants/accounts/allauth_adapters.py. Limits on one-time codes are its own.

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
SESSION_ENGINE = "tenants.accounts.sessions"
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
AUTH_PASSWORD_VALIDATORS = variables.PASSWORD_VALIDATORS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "hpns.formats"
STATIC_URL = "/static/"
STATIC_ROOT = None
STATICFILES_DIRS: list[Path] = []
# Static files are served straight from the apps' folders: there is no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
# Everything goes through structlog; see hpns/logs/setup.py.
LOGGING_CONFIG = "hpns.logs.setup.configure"
LOGGING = {"level": LOG_LEVEL, "format": LOG_FORMAT}
