"""When a device's last session ended: its page need not look through all of its pushes for that.

As the other facts about devices it is taken out of the log (delivery/devices/facts.py); what is there already is read
here once.
"""

from django.db import migrations

FORWARD = """
ALTER TABLE delivery_device ADD COLUMN session_at timestamptz;
UPDATE delivery_device old SET session_at = ended.session_at FROM (
    SELECT customer_id, device, server_id, coalesce(app_id, 0) AS app_id, max(accepted_at) AS session_at
    FROM delivery_delivery WHERE type = 'session' AND device <> '' GROUP BY 1, 2, 3, 4) AS ended
WHERE (old.customer_id, old.device, old.server_id, old.app_id)
    = (ended.customer_id, ended.device, ended.server_id, ended.app_id);
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0014_days_read_quicker")]
    operations = [migrations.RunSQL(FORWARD, "ALTER TABLE delivery_device DROP COLUMN session_at")]
