"""Names of the demo's rows and secrets."""

CUSTOMER, SERVER, STAFF = "Demo", "Demo server", "staff@demo.example"
# In secrets.json of the state folder.
KEY, PASSWORD = "demo_key", "staff_password"
