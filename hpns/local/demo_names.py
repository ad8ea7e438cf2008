"""The names under which the demo is known, to whoever makes it and to whoever tells about it."""

CUSTOMER, SERVER, STAFF = "Demo", "Demo server", "staff@demo.example"
# In secrets.json of the state folder.
KEY, PASSWORD = "demo_key", "staff_password"
