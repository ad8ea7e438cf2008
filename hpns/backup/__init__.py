"""A backup of everything that the service is: the database and the keys without which it is worth nothing, sealed.

A folder of three files: `backup.json` says in the clear what it is and how the passphrase becomes a key; `keys.sealed`
holds SECRET_KEY, VAULT_KEYS and HASH_KEY; `database.sealed` what PostgreSQL's pg_dump writes. Invariant: nothing of
it is ever written to a disk in the clear. What waits in Valkey's queue is not in it.
"""
