"""A backup of everything that the service is: the database and the keys without which it is worth nothing, sealed.

A folder of four files: `backup.json` says in the clear what it is, and how it is opened without this program;
`identity.age` holds, sealed under the passphrase, what opens the other two; `keys.age` holds SECRET_KEY, VAULT_KEYS and
HASH_KEY; `database.age` what PostgreSQL's pg_dump writes. Invariant: nothing of it is ever written to a disk in the
clear. What waits in Valkey's queue is not in it.
"""
