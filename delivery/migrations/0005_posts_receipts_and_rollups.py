"""The post and the packed ack of a push, what phones acknowledge, and counts per minute and hour.

Ids of Mattermost are packed (delivery/protocol/mattermost_id.py); those of old rows are packed here, which rewrites the
log: meanwhile rows wait in Valkey, and pushes go on.
"""

from django.db import migrations, models

PACK = """
CREATE FUNCTION hpns_mattermost_id(id text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    bits text := ''; packed bytea := decode(repeat('00', 16), 'hex');
BEGIN
    IF id = '' THEN RETURN NULL; END IF;
    IF id !~ '^[ybndrfg8ejkmcpqxot1uwisza345h769]{25}[yrecowah]$' THEN
        packed := '\\xff'::bytea || convert_to(id, 'UTF8');
        RETURN CASE WHEN length(packed) = 16 THEN '\\xff'::bytea || packed ELSE packed END;
    END IF;
    FOR place IN 1..26 LOOP
        bits := bits || (strpos('ybndrfg8ejkmcpqxot1uwisza345h769', substr(id, place, 1)) - 1)::bit(5)::text;
    END LOOP;
    FOR place IN 0..15 LOOP
        packed := set_byte(packed, place, substr(bits, place * 8 + 1, 8)::bit(8)::int);
    END LOOP;
    RETURN packed;
END $$;
"""
# Trees, though hash indexes would cost a row a third less: those walk along all equal entries at each insertion, so that
# a load test with one phone, at some hundred thousand pushes a day, would stop the log of everybody.
LOG = """
ALTER TABLE delivery_delivery ALTER COLUMN ack_id DROP NOT NULL,
    ALTER COLUMN ack_id TYPE bytea USING hpns_mattermost_id(ack_id), ADD COLUMN post_id bytea;
CREATE INDEX delivery_by_ack ON delivery_delivery (ack_id) WHERE ack_id IS NOT NULL;
CREATE INDEX delivery_by_post ON delivery_delivery (post_id) WHERE post_id IS NOT NULL;
CREATE INDEX delivery_by_device ON delivery_delivery (device) WHERE device <> '';
"""
RECEIPTS = """
CREATE TABLE delivery_receipt (
    id text NOT NULL,
    received_at timestamptz NOT NULL,
    customer_id bigint NOT NULL,
    server_id bigint NOT NULL,
    ack_id bytea NOT NULL,
    type text NOT NULL,
    platform text NOT NULL,
    phone_at timestamptz,
    trace text,
    push_at timestamptz,
    repeated boolean NOT NULL DEFAULT false,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX delivery_receipt_by_ack ON delivery_receipt (ack_id);
CREATE INDEX delivery_receipt_by_customer ON delivery_receipt (customer_id, received_at);
CREATE INDEX delivery_receipt_unmatched ON delivery_receipt (received_at) WHERE push_at IS NULL;
CREATE TABLE delivery_receipt_other_days PARTITION OF delivery_receipt DEFAULT;
ALTER TABLE delivery_receipt ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON delivery_receipt FOR SELECT
    USING (customer_id >= hpns_first_customer() AND customer_id <= hpns_last_customer());
"""
# What is counted is inserted into a small table (_new), out of which it is merged into the large ones, which hardly ever
# see a row deleted: so only the small one needs to be vacuumed often. Both are read as one.
ROLLUP = """
CREATE TABLE delivery_{unit} (
    at timestamptz NOT NULL,
    customer_id bigint NOT NULL,
    grain smallint NOT NULL,
    server_id bigint NOT NULL,
    app_id bigint NOT NULL,
    family text NOT NULL,
    type text NOT NULL,
    outcome text NOT NULL,
    code text NOT NULL,
    attribution text NOT NULL,
    counts boolean NOT NULL,
    pushes bigint NOT NULL,
    acked bigint NOT NULL,
    handoff bigint[] NOT NULL,
    receipt bigint[] NOT NULL,
    merged boolean NOT NULL DEFAULT false
) PARTITION BY LIST (merged);
CREATE TABLE delivery_{unit}_new PARTITION OF delivery_{unit} FOR VALUES IN (false);
CREATE TABLE delivery_{unit}_merged PARTITION OF delivery_{unit} FOR VALUES IN (true) PARTITION BY RANGE (at);
CREATE TABLE delivery_{unit}_other PARTITION OF delivery_{unit}_merged DEFAULT;
CREATE INDEX delivery_{unit}_new_by_customer ON delivery_{unit}_new (customer_id, grain, at);
CREATE INDEX delivery_{unit}_by_customer ON delivery_{unit}_merged (customer_id, grain, at);
CREATE INDEX delivery_{unit}_by_time ON delivery_{unit}_merged (at) WHERE grain = 1;
ALTER TABLE delivery_{unit} ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON delivery_{unit} FOR SELECT
    USING (customer_id >= hpns_first_customer() AND customer_id <= hpns_last_customer());
CREATE TABLE delivery_service_{unit} (
    at timestamptz NOT NULL,
    family text NOT NULL,
    outcome text NOT NULL,
    code text NOT NULL,
    attribution text NOT NULL,
    counts boolean NOT NULL,
    pushes bigint NOT NULL,
    acked bigint NOT NULL,
    handoff bigint[] NOT NULL,
    receipt bigint[] NOT NULL,
    merged boolean NOT NULL DEFAULT false
) PARTITION BY LIST (merged);
CREATE TABLE delivery_service_{unit}_new PARTITION OF delivery_service_{unit} FOR VALUES IN (false);
CREATE TABLE delivery_service_{unit}_merged PARTITION OF delivery_service_{unit} FOR VALUES IN (true);
CREATE INDEX delivery_service_{unit}_by_time ON delivery_service_{unit}_merged (at);
ALTER TABLE delivery_{unit}_new SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
ALTER TABLE delivery_service_{unit}_new SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
"""
BACK = """
DROP TABLE delivery_minute, delivery_hour, delivery_service_minute, delivery_service_hour, delivery_receipt;
"""


def _unmanaged(name: str, key: str, **options: object) -> migrations.CreateModel:
    field = models.CharField if key in ("id", "trace") else models.DateTimeField
    return migrations.CreateModel(
        name=name, fields=[(key, field(primary_key=True, serialize=False))], options={"managed": False, **options}
    )


class Migration(migrations.Migration):
    dependencies = [("delivery", "0004_row_level_security")]
    operations = [
        migrations.RunSQL(PACK, "DROP FUNCTION hpns_mattermost_id(text);"),
        # The way back would have to unpack: an empty log is what it is for.
        migrations.RunSQL(LOG, migrations.RunSQL.noop),
        migrations.RunSQL(RECEIPTS + "".join(ROLLUP.format(unit=unit) for unit in ("minute", "hour")), BACK),
        _unmanaged("Receipt", "id", db_table="delivery_receipt", ordering=("-received_at",)),
        _unmanaged("Minute", "at", db_table="delivery_minute"),
        _unmanaged("Hour", "at", db_table="delivery_hour"),
        _unmanaged("ServiceMinute", "at", db_table="delivery_service_minute"),
        _unmanaged("ServiceHour", "at", db_table="delivery_service_hour"),
    ]
