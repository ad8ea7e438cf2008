"""Whose a server key is, for pages that machines ask with their key: found by its prefix and digest together alone.

As the owner of the tables, for such a page is in no scope before it knows whose it is; whoever asks has the key, since
the digest is keyed (tenants/keys.py). In force: neither revoked nor expired. A suspended customer may read what is its.
"""

from django.db import migrations

MAKE = """
CREATE FUNCTION hpns_server_of_key(wanted_prefix text, wanted_digest bytea) RETURNS TABLE (customer_id bigint, server_id
    bigint) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.customer_id, s.id FROM public.tenants_serverkey k JOIN public.tenants_server s ON s.id = k.server_id
    WHERE k.prefix = wanted_prefix AND k.digest = wanted_digest AND k.revoked_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > now())
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0013_unknown_callers")]
    operations = [
        migrations.RunSQL(MAKE, "DROP FUNCTION hpns_server_of_key(text, bytea)"),
        # Licences are proven, too: which proof this is, its name says.
        migrations.AlterModelOptions(
            name="proof",
            options={
                "ordering": ("key", "-last_at"),
                "verbose_name": "proof of a server",
                "verbose_name_plural": "proofs of servers",
            },
        ),
    ]
