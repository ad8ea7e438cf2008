"""Celery tasks of billing's incidents. No rule lives here: a task hands over to the file that knows."""

import logging

import redis
from celery import shared_task
from django.db import DatabaseError, close_old_connections

from billing.incidents import canary, mailing, publishing, status
from tenants import redis_client
from tenants.problem import ProblemError, first_line

logger = logging.getLogger(__name__)

# Seconds for Valkey to answer.
TIMEOUT = 5.0


@shared_task(name="billing.canary", acks_late=True, ignore_result=True)
def canary_push() -> int:
    """Push to each provider through the public address, and look at the pages; returns how many rows it made."""
    close_old_connections()
    try:
        with redis_client.connect(TIMEOUT) as store:
            return canary.run(store)
    except (DatabaseError, redis.RedisError) as error:
        logger.warning("what came of the canary cannot be kept yet: %s", first_line(error))
    except ProblemError as problem:
        logger.error("there is no canary, for CANARY_DEVICES cannot be used: %s", problem)
    return 0


@shared_task(name="billing.status", acks_late=True, ignore_result=True)
def publish_status() -> int:
    """Publish the status page and send what staff have announced; returns how many mails went out."""
    close_old_connections()
    with redis_client.connect(TIMEOUT) as store:
        now = canary.now_of(store)
        canary.write(store)
    canary.settle(now)
    status.close_days(now)
    try:
        publishing.publish(now)
    except OSError as error:
        logger.error("the status page cannot be written to STATUS_DIR: %s", error)
    return mailing.send_due(now)


@shared_task(name="billing.forget_canary", acks_late=True, ignore_result=True)
def forget_canary() -> int:
    """Delete what is kept of the canary and is older than 25 months; returns how many rows went."""
    close_old_connections()
    with redis_client.connect(TIMEOUT) as store:
        return canary.forget(canary.now_of(store))
