"""The partitioned log, the catch-all partition, and the note of which segments of the queue have been written."""

from django.db import migrations, models

CREATE = """
CREATE TABLE delivery_delivery (
    trace text NOT NULL,
    accepted_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    customer_id bigint NOT NULL,
    server_id bigint NOT NULL,
    key_id bigint,
    app_id bigint,
    platform text NOT NULL,
    type text NOT NULL,
    sub_type text NOT NULL,
    ack_id text NOT NULL,
    mattermost_id text NOT NULL,
    device text NOT NULL,
    size integer NOT NULL,
    outcome text NOT NULL,
    code text NOT NULL,
    answer text NOT NULL,
    attribution text NOT NULL,
    counts boolean NOT NULL,
    attempts jsonb NOT NULL,
    count integer NOT NULL DEFAULT 1,
    PRIMARY KEY (trace, accepted_at)
) PARTITION BY RANGE (accepted_at);
CREATE INDEX delivery_by_customer ON delivery_delivery (customer_id, accepted_at DESC);
CREATE TABLE delivery_other_days PARTITION OF delivery_delivery DEFAULT;
CREATE TABLE delivery_written_segment (
    name text PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
);
"""
DROP = "DROP TABLE delivery_delivery; DROP TABLE delivery_written_segment;"


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenants", "0001_customers_servers_keys_and_apps")]
    operations = [
        migrations.RunSQL(CREATE, DROP),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("trace", models.CharField(max_length=40, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "db_table": "delivery_delivery",
                "ordering": ("-accepted_at",),
                "managed": False,
            },
        ),
    ]
