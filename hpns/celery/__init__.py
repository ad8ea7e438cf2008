"""The Celery app: queues, routes, the timetable (beat), and how a worker runs.

This package, the apps' tasks.py and delivery/ingest/envelope.py are the only code that imports Celery. A worker differs
from the stock one in three places, each through an extension point that Celery or kombu offers: a hub on asyncio
(hub.py), a pool whose tasks are coroutines (pool.py) and, on Valkey/Redis, a transport that takes messages atomically
(transport.py). The timetable goes on when its clock was set back (beat_scheduler.py).
"""

import os

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
# For Celery's own command (beat), which has no entry point of ours; those that have one have set it already.
os.environ.setdefault("DATABASE_ROLE", "worker")

from django.conf import settings

from hpns.logs import setup
from tenants import redis_client

TRANSPORT_ALIASES["valkey"] = TRANSPORT_ALIASES["valkeys"] = "hpns.celery.transport:Transport"

DELIVER, RECORD = "push", "record"


def broker_url(url: str) -> str:
    """The broker's URL for Celery: Redis and Valkey go through our transport, everything else through kombu's own."""
    for scheme, ours in (("redis://", "valkey://"), ("rediss://", "valkeys://")):
        if url.startswith(scheme):
            return ours + url[len(scheme) :]
    return url


setup_logging.connect(setup.for_celery)
app = Celery("hpns")
app.conf.update(
    broker_url=broker_url(settings.CELERY_BROKER_URL),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Of kombu's own connections, by which the timetable publishes: a silent Valkey must not hold it for ever.
    broker_transport_options=redis_client.options(10) if redis_client.serves(settings.CELERY_BROKER_URL) else {},
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue=RECORD,
    task_queues=[Queue(DELIVER), Queue(RECORD)],
    task_routes={"delivery.deliver": {"queue": DELIVER}},
    task_create_missing_queues=False,
    worker_pool="hpns.celery.pool:LoopPool",
    # Their product, 4,000, is how many messages a worker has in its hands at a time, each of at most 9 kB: as many
    # batches of one push as a silent provider holds of a thousand a second. What bounds the memory of their pushes are
    # the places of delivery/worker/places.py. Both queues share it, of which RECORD never holds more than one message
    # for each of its tasks (pool.py, the tasks).
    worker_concurrency=100,
    worker_prefetch_multiplier=40,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_schedule={
        # No `expires` anywhere: a worker would judge by its own clock, and one that is ahead would never do anything.
        # While a task runs, a further message of its name ends at once, so that what has come together does no harm.
        # A second one does nothing while one merges, in whichever worker.
        "compact": {"task": "delivery.compact", "schedule": crontab()},
        "recheck": {"task": "delivery.recheck", "schedule": crontab(minute="*/10")},
        "expiry": {"task": "tenants.warn_of_expiry", "schedule": crontab(minute=23, hour=6)},
        "sessions": {"task": "tenants.forget_sessions", "schedule": crontab(minute=41, hour=3)},
        "rejections": {"task": "tenants.forget_rejections", "schedule": crontab(minute=53, hour=3)},
        # Each site once a day, and soon when a signature does not verify any more; e-mail of what was found.
        "sites": {"task": "tenants.look_at_sites", "schedule": crontab()},
        "erased": {"task": "tenants.forget_erased", "schedule": crontab(minute=11, hour=4)},
        "sla": {"task": "billing.sla", "schedule": crontab(minute="*/5")},
        "old_sla": {"task": "billing.forget_sla", "schedule": crontab(minute=17, hour=4)},
        "devices": {"task": "delivery.devices", "schedule": 60.0},
        "active_devices": {"task": "delivery.active_devices", "schedule": crontab(minute=3)},
        "old_devices": {"task": "delivery.forget_devices", "schedule": crontab(minute=29, hour=3)},
        # Beside each other, so that a mail server or a disk that hangs delays no canary.
        "canary": {"task": "billing.canary", "schedule": crontab()},
        "status": {"task": "billing.status", "schedule": crontab()},
        "old_canaries": {"task": "billing.forget_canary", "schedule": crontab(minute=37, hour=3)},
        "subscriptions": {"task": "billing.apply_subscriptions", "schedule": crontab()},
        "subscription_mails": {"task": "billing.mail_subscriptions", "schedule": crontab(minute=17)},
        "usage": {"task": "billing.watch_usage", "schedule": crontab(minute=17)},
        "closed_usage": {"task": "billing.close_usage", "schedule": crontab(minute=37, hour=4)},
        "invoice_drafts": {"task": "billing.draft_invoices", "schedule": crontab(minute=17, hour=5)},
        "invoice_mails": {"task": "billing.mail_invoices", "schedule": crontab(minute="*/5")},
        "old_invoices": {"task": "billing.forget_invoices", "schedule": crontab(minute=19, hour=4)},
        "partitions": {"task": "delivery.partitions", "schedule": crontab(minute=7, hour="*/6")},
    },
    beat_scheduler="hpns.celery.beat_scheduler:BeatScheduler",
    # Seconds: after which it notices that its clock was set. What is due wakes it by itself.
    beat_max_loop_interval=15,
    timezone="UTC",
    enable_utc=True,
    imports=["billing.tasks", "delivery.tasks", "tenants.tasks"],
)
