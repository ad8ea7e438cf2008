"""What our code leans on in other people's libraries beyond what they document, as one table.

Each row: the name, what is needed of it, the file of ours that needs it, and what for. Libraries in EXACT have methods
replaced by ours, so that their next version is a change of ours, too: they are pinned exactly, and what ours takes the
place of, or is called by, is held as it was when ours was written (`same`).
"""

from typing import Final

from tests.hpns.library_needs import Internal, accepts, contains, equals, holds, lacks, same, takes, there

EXACT: Final = ("celery", "kombu", "psycopg")

HUB, POOL, TRANSPORT = "hpns/celery/hub.py", "hpns/celery/pool.py", "hpns/celery/transport.py"
CONSUMER, RECEIPT = "hpns/celery/consumer.py", "delivery/queue/receipt.py"
TASKS, WORKER, API = "delivery/tasks.py", "hpns/worker.py", "delivery/ingest/api.py"
ACCOUNTS, EVENTS, FACTORS = (
    "tenants/accounts/allauth_adapters.py",
    "tenants/accounts/audit_signals.py",
    "tenants/accounts/second_factor_views.py",
)
POSTGRES = "hpns/postgresql/base.py"
PRELOAD = "hpns/preload.py"
FENCE, TAGS = "tenants/fence.py", "hpns/templatetags/pages.py"
DUMP, RESTORE = "hpns/backup/programs.py", "hpns/backup/restoring.py"

_HUB, _REDIS, _VIRTUAL = "kombu.asynchronous.hub:Hub", "kombu.transport.redis:", "kombu.transport.virtual.base:"
_POOL, _REQUEST = "celery.concurrency.base:BasePool", "celery.worker.request:Request"
_WORKER = "celery.worker.consumer.consumer:Consumer"

_KOMBU: Final = (
    ("kombu.transport:TRANSPORT_ALIASES", holds("redis", "rediss"), "hpns/celery/__init__.py", "ours is added"),
    ("kombu.asynchronous:set_event_loop", takes("loop"), HUB, "installs our hub"),
    (f"{_HUB}.__init__", same("73cecd7a"), HUB, "called by ours"),
    (f"{_HUB}.add", same("c1cc84d7"), HUB, "replaced"),
    (f"{_HUB}._unregister", same("d1c5d21b"), HUB, "replaced"),
    (f"{_HUB}._remove_from_loop", same("9b6b9846"), HUB, "calls _unregister before it forgets"),
    (f"{_HUB}.remove_reader", same("00e2b1f7"), HUB, "takes both off and adds the writer again"),
    (f"{_HUB}.remove_writer", same("6fb09831"), HUB, "takes both off and adds the reader again"),
    (f"{_HUB}.call_soon", same("9ec88f2a"), HUB, "replaced"),
    (f"{_HUB}.create_loop", same("186a2b49"), HUB, "replaced"),
    (f"{_HUB}.fire_timers", same("c62315d7"), HUB, "called in each turn"),
    (f"{_HUB}._close", same("5a945a40"), HUB, "on close and reset: _unregister for each descriptor"),
    ("kombu.asynchronous.timer:Timer.__init__", contains("self._queue"), HUB, "tells whether a timer waits"),
    ("kombu.utils.compat:fileno", takes("f"), HUB, "the number of whatever is added"),
    ("kombu.serialization:loads", accepts("data", "content_type", "content_encoding", "accept"), POOL, "other bodies"),
    (f"{_REDIS}QoS.append", same("4b4b426e"), TRANSPORT, "replaced, and passed over"),
    (f"{_REDIS}QoS.ack", same("a6a293d9"), TRANSPORT, "replaced, and passed over"),
    (f"{_REDIS}QoS.reject", same("93af6bf8"), TRANSPORT, "replaced, and passed over"),
    (f"{_REDIS}QoS.restore_visible", same("6da9e6fe"), TRANSPORT, "replaced by leases"),
    (f"{_VIRTUAL}QoS.__init__", same("e6f66c48"), TRANSPORT, "_on_collect, which ours cancels"),
    (f"{_VIRTUAL}QoS.append", same("465769e9"), TRANSPORT, "called by ours"),
    (f"{_VIRTUAL}QoS.ack", same("2ec9d3d0"), TRANSPORT, "called by ours"),
    (f"{_VIRTUAL}QoS.can_consume", same("ef51ea38"), TRANSPORT, "bounds what ours takes"),
    (f"{_VIRTUAL}QoS.restore_unacked_once", same("31b570ae"), TRANSPORT, "replaced"),
    (f"{_REDIS}Channel.basic_consume", same("5f7075ca"), TRANSPORT, "replaced"),
    (f"{_REDIS}Channel.basic_cancel", same("c1456320"), TRANSPORT, "replaced"),
    (f"{_REDIS}Channel.close", same("8b98e8d4"), TRANSPORT, "called by ours"),
    (f"{_REDIS}Channel._put", same("b1c06265"), TRANSPORT, "puts where ours takes: LPUSH on the queue's name"),
    (f"{_VIRTUAL}Channel.basic_consume", same("10acbcd0"), TRANSPORT, "what ours has to note"),
    (f"{_VIRTUAL}Channel.basic_cancel", same("9bdc3b3d"), TRANSPORT, "what ours has to forget"),
    (f"{_VIRTUAL}Channel.close", same("37f40f35"), TRANSPORT, "called through the Redis channel's"),
    (f"{_VIRTUAL}Channel.body_encoding", equals("base64"), TRANSPORT, "replaced by none"),
    (f"{_VIRTUAL}Message.__init__", same("8a84e09d"), TRANSPORT, "made of the envelope as it was decoded"),
    (f"{_VIRTUAL}Message.__init__", contains("properties=properties"), RECEIPT, "hands the properties on as they are"),
    ("kombu.message:Message.errors", equals(None), TRANSPORT, "what of a message could not be decompressed"),
    ("kombu.messaging:Consumer._receive_callback", same("0f23a581"), CONSUMER, "what a message's fault ends in"),
    (f"{_VIRTUAL}Transport.__init__", contains("self._callbacks"), TRANSPORT, "who delivers a queue"),
    (f"{_REDIS}Transport.register_with_event_loop", same("3bdcd1f7"), TRANSPORT, "replaced: nothing is polled"),
    (f"{_VIRTUAL}Channel._put", same("96470b1b"), TASKS, "replaced: keeps the message that is published"),
    (f"{_VIRTUAL}Channel.basic_publish", same("8a69fe36"), TASKS, "completes the message and calls _put"),
    (f"{_VIRTUAL}Channel._inplace_augment_message", same("07b2fc7d"), TASKS, "the envelope's members"),
    (f"{_VIRTUAL}Channel.do_restore", equals(True), TASKS, "replaced: there is no server"),
    ("kombu:Connection.__init__", accepts("transport"), TASKS, "takes a class of ours as its transport"),
)
_CELERY: Final = (
    ("celery.worker.components:Hub.create", same("c7573d98"), HUB, "takes the hub that is installed already"),
    ("celery.worker.loops:asynloop", same("05a53e51"), HUB, "calls next(), after an error reset()"),
    ("celery.worker.components:Pool.create", same("8cd0cde0"), POOL, "makes the pool"),
    (f"{_POOL}.__init__", same("936d387b"), POOL, "called by ours"),
    (f"{_POOL}.apply_async", same("e9318357"), POOL, "calls on_apply"),
    (f"{_POOL}.close", same("e884587b"), POOL, "calls on_close, where ours waits for what runs"),
    (f"{_POOL}.terminate", same("f046406c"), POOL, "calls on_terminate"),
    (f"{_POOL}.body_can_be_buffer", equals(False), POOL, "replaced by True"),
    (f"{_POOL}.signal_safe", equals(True), POOL, "replaced by False"),
    ("celery.worker.request:create_request_cls", same("871f30fe"), POOL, "what a pool is given for a task"),
    ("celery.worker.request:Request.__init__", same("ba563d66"), RECEIPT, "a task's request has the properties"),
    (
        f"{_WORKER}.create_task_handler",
        same("3107b2ff"),
        CONSUMER,
        "acknowledges in a later turn, but for these:",
    ),
    (f"{_WORKER}.call_soon_ack", same("bdb21bba"), CONSUMER, "the later turn"),
    (f"{_WORKER}.on_decode_error", same("19f6cb0c"), CONSUMER, "acknowledges at once: put aside"),
    (f"{_WORKER}.on_unknown_message", same("f49ac6b1"), CONSUMER, "rejects at once: put aside"),
    (f"{_WORKER}.on_unknown_task", same("a56f8554"), CONSUMER, "rejects at once, and may raise"),
    (f"{_WORKER}.on_invalid_task", same("890511ee"), CONSUMER, "rejects at once: put aside"),
    (f"{_REQUEST}.on_accepted", same("bf48930b"), POOL, "ours calls it with a process id and a time"),
    (f"{_REQUEST}.on_success", same("ef670ac5"), POOL, "ours calls it with (failed, value, seconds)"),
    (f"{_REQUEST}.on_failure", same("3d0ebdde"), POOL, "acknowledges what failed, puts back what rejects"),
    ("celery:Task", lacks("coroutine"), POOL, "by this attribute of ours a task says that it is a coroutine"),
    ("celery:Task.apply_async", accepts("producer", "task_id"), TASKS, "publishes"),
    ("celery.app.amqp:AMQP.as_task_v2", accepts("argsrepr", "kwargsrepr"), TASKS, "given empty: no text of a push"),
    ("celery.apps.worker:Worker.on_consumer_ready", same("63021d17"), TASKS, "the signal's sender has the hub"),
    ("celery.worker.consumer.consumer:Consumer.__init__", contains("self.hub = hub"), TASKS, "the same"),
    ("celery.worker:WorkController.exitcode", equals(None), WORKER, "0 unless something else is said"),
    ("celery.worker.strategy:logger.name", equals("celery.worker.strategy"), WORKER, "says less than the others"),
    ("billiard.einfo:ExceptionInfo.__init__", accepts("exc_info"), POOL, "made without it, of what is being handled"),
    ("vine:promise.__init__", accepts("fun", "args"), HUB, "wraps what call_soon is given"),
    ("vine:Thenable", there, HUB, "what call_soon does not wrap"),
)
_DJANGO: Final = (
    ("django.utils.log:log_response", contains("_has_been_logged"), "hpns/pages/front.py", "set: a 503 is no error"),
    ("django.template.loader_tags:BlockContext.get_block", takes("self", "name"), TAGS, "a block once more"),
    ("django.template.loader_tags:BLOCK_CONTEXT_KEY", equals("block_context"), TAGS, "where the blocks are"),
    (
        "django.db.migrations.loader:MigrationLoader.load_disk",
        contains("self.disk_migrations"),
        RESTORE,
        "all migrations",
    ),
    (
        "django.db.backends.postgresql.base:DatabaseWrapper.get_connection_params",
        *(takes("self"), DUMP, "the parameters for pg_dump"),
    ),
    (
        "django.db.backends.postgresql.base:DatabaseWrapper.get_new_connection",
        *(contains("self.Database.connect(**conn_params)"), POSTGRES, "connects by our class"),
    ),
    ("django.conf:LazySettings.__setattr__", contains('"_wrapped"', "self.__dict__.clear()"), PRELOAD, "read anew"),
    (
        "django.utils.connection:BaseConnectionHandler.__init__",
        contains("self._settings = settings", "self._connections = "),
        PRELOAD,
        "called once more: forgets settings and connections",
    ),
    ("django.utils.connection:BaseConnectionHandler", contains("@cached_property\n    def settings"), PRELOAD, "too"),
    ("django.db.models.sql.compiler:SQLCompiler.quote_name_unless_alias", takes("self", "name"), FENCE, "quotes"),
    ("django.db.models.sql.where:WhereNode.as_sql", contains("except FullResultSet"), FENCE, "raised: no condition"),
    ("django.db.models.manager:BaseManager.__init__", contains("self._db", "self._hints"), FENCE, "for our query set"),
    ("django.db.models.expressions:BaseExpression.get_source_expressions", takes("self"), FENCE, "replaced"),
    ("django.db.models.expressions:BaseExpression.set_source_expressions", takes("self", "exprs"), FENCE, "replaced"),
    ("rest_framework.views:APIView.throttled", takes("self", "request", "wait"), API, "called outside of dispatch"),
)
_ADAPTER = "allauth.account.adapter:DefaultAccountAdapter"
_ALLAUTH: Final = (
    (f"{_ADAPTER}._get_login_attempts_cache_key", same("fdfa1398"), ACCOUNTS, "replaced: whose attempts"),
    (f"{_ADAPTER}.pre_authenticate", same("c549d14e"), ACCOUNTS, "counts by that key, and raises ValidationError"),
    (f"{_ADAPTER}.send_account_already_exists_mail", same("24ebe9ba"), ACCOUNTS, "replaced: its link"),
    (f"{_ADAPTER}.get_reset_password_from_key_url", takes("self", "key"), ACCOUNTS, "replaced, likewise"),
    (f"{_ADAPTER}.get_client_ip", takes("self", "request"), ACCOUNTS, "replaced"),
    (
        "allauth.account.internal.flows.login:record_authentication",
        same("9eee584e"),
        FACTORS,
        "notes that a factor was shown",
    ),
    ("allauth.account.authentication:get_authentication_records", takes("request", "user"), ACCOUNTS, "read"),
    (
        "allauth.account.authentication:AUTHENTICATION_METHODS_SESSION_KEY",
        *(equals("account_authentication_methods"), EVENTS, "where those records are in a session"),
    ),
    ("allauth.mfa.adapter:DefaultMFAAdapter.encrypt", takes("self", "text"), ACCOUNTS, "replaced: seals"),
    ("allauth.mfa.adapter:DefaultMFAAdapter.decrypt", takes("self", "encrypted_text"), ACCOUNTS, "replaced: opens"),
)
_OTHERS: Final = (
    (
        "hpack:Decoder.__init__",
        takes("self", "max_header_list_size"),
        "delivery/http2/response_headers.py",
        "bounds a head",
    ),
    ("hpack:Decoder.header_table_size", there, "delivery/http2/response_headers.py", "0 once a peer keeps no table"),
    ("psycopg:Connection.wait", same("1680ec34"), POSTGRES, "replaced: what is waited for on an open connection"),
    ("psycopg:Connection.connect", contains("timeout=timeout"), POSTGRES, "has a deadline itself: connect_timeout"),
    ("psycopg.errors:_WaitTimeout", there, POSTGRES, "raised when the time that wait() was given is over"),
    ("hiredis:pack_command", there, "delivery/queue/valkey.py", "packs commands"),
    (
        "aioapns.connection:JWTAuthorizationHeaderProvider.get_header",
        *(same("0bede8e5"), "delivery/providers/apns/provider_token.py", "a new provider makes a new token"),
    ),
    (
        "aiohappyeyeballs._staggered:staggered_race",
        same("8fc47b05"),
        "delivery/http2/addresses.py",
        "swallows cancellations",
    ),
    (
        "aiohappyeyeballs.impl:_connect_sock",
        same("763f776f"),
        "delivery/http2/addresses.py",
        "closes what it has opened",
    ),
)
INTERNALS: Final = [Internal(*row) for row in (*_KOMBU, *_CELERY, *_DJANGO, *_ALLAUTH, *_OTHERS)]
