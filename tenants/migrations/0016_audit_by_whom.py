"""What the pages' role writes into the audit log is of now, and of somebody who could have done it.

The pages write an event's act; when it was and who is called what is not theirs to say. A page that was taken over can
neither date an event back nor put down an act to a command, to the staff or to a stranger of the customer.
"""

from django.db import migrations

BY_WHOM = """
ALTER TABLE tenants_auditevent ALTER COLUMN at SET DEFAULT statement_timestamp();
CREATE FUNCTION tenants_audit_by_whom() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    person record;
BEGIN
    IF NOT row_security_active(TG_RELID) THEN
        RETURN NEW;
    END IF;
    NEW.at := statement_timestamp();
    IF NEW.actor_id IS NULL THEN
        IF NEW.actor_kind <> 'service' OR NEW.customer_id IS NOT NULL THEN
            RAISE EXCEPTION 'row-level security: an act of a customer is of somebody'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END IF;
    SELECT coalesce(nullif(email, ''), username) AS name, is_staff INTO person FROM auth_user WHERE id = NEW.actor_id;
    IF person IS NULL OR NOT (CASE NEW.actor_kind
        WHEN 'staff' THEN person.is_staff
        WHEN 'member' THEN NEW.customer_id IS NULL OR EXISTS (
            SELECT FROM tenants_membership WHERE customer_id = NEW.customer_id AND user_id = NEW.actor_id
        )
        ELSE false
    END) THEN
        RAISE EXCEPTION 'row-level security: this act is not of a person that could have done it'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.actor := left(person.name, 254);
    RETURN NEW;
END $$;
CREATE TRIGGER by_whom BEFORE INSERT ON tenants_auditevent FOR EACH ROW EXECUTE FUNCTION tenants_audit_by_whom();
"""
BACK = """
DROP TRIGGER by_whom ON tenants_auditevent;
DROP FUNCTION tenants_audit_by_whom();
ALTER TABLE tenants_auditevent ALTER COLUMN at DROP DEFAULT;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0015_quotas")]

    operations = [migrations.RunSQL(BY_WHOM, BACK)]
