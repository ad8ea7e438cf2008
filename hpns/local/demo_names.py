"""Names of the demo's rows and secrets."""

CUSTOMER, SERVER, STAFF = "Demo", "Demo server", "staff@demo.example"
# Whose Mattermost licence it is, in the licences to try and on the site of the demo's server: both have to agree.
COMPANY = "Demo Company"
# Another customer, who has a licence that the demo's customer cannot prove.
NEIGHBOUR = "Demo neighbour"
# For whoever tries the service with a Mattermost of their own. Not the demo's server, which has a server_id already: to
# come with a second one looks like a clone.
OWN_SERVER = "Your Mattermost server"
# In secrets.json of the state folder.
KEY, OWN_KEY, PASSWORD = "demo_key", "own_key", "staff_password"
# Who issues the demo's invoices: nobody that there is. The account is the one of banks' examples.
SELLER = (
    '{"name": "Demo Push Services GmbH", "address": "Hauptstr. 1", "postcode": "10115", "city": "Berlin", '
    '"country": "DE", "email": "billing@demo.example", "vat_id": "DE136695976", "registration": "HRB 1, Berlin", '
    '"iban": "DE02120300000000202051", "bic": "BYLADEM1001", "vat_rate": "19"}'
)
