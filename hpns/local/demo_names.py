"""Names of the demo's rows and secrets."""

CUSTOMER, SERVER, STAFF = "Demo", "Demo server", "staff@demo.example"
# Another customer, who has a licence that the demo's customer cannot prove.
NEIGHBOUR = "Demo neighbour"
# In secrets.json of the state folder.
KEY, PASSWORD = "demo_key", "staff_password"
