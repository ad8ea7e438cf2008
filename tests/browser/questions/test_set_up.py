"""Whether the app and its key are right."""

from collections.abc import Callable
from typing import Final

from tests.browser.questions.admin import Admin
from tests.browser.questions.company import Company

Enter = Callable[[Company], Admin]
# A certificate of Apple's becomes the current credential, as it will be 12 days before its end.
ENDING: Final = """
import sys
from datetime import timedelta
from django.utils import timezone
from tenants import services
from tenants.models import Credential, PushApp
from tenants.providers import apple_files

app = PushApp.objects.get(pk=int(sys.argv[1]))
row = services.credential_add(app=app, parsed=apple_files.apple_certificate_pem(sys.argv[2].encode())).row
Credential.objects.filter(pk=row.pk).update(expires_at=timezone.now() + timedelta(days=12) - timedelta(hours=1))
print(row.key_id)
"""


def test_does_it_work_with_the_stores_app_or_my_own_build(company: Company, ada: Enter) -> None:
    for number in range(3):
        company.push(f"dead0401{number:056x}")
    company.taken_in()
    admin = ada(company)
    admin.reads(sentence="All 3 pushes of app apple_rn that Apple has judged since")
    admin.sees("because these phones run another app than com.mattermost.rn: most likely the one from the store")
    admin.sees("Let your users install your app, com.mattermost.rn, and log in there; a new key does not help.")


def test_is_my_key_about_to_end_and_is_the_new_one_good(company: Company, ada: Enter) -> None:
    stage = company.stage
    ending = company.run(
        ENDING, str(company.apps["apple_rn"]), stage.sandbox.add_certificate("com.mattermost.rn").decode()
    )
    admin = ada(company)
    admin.reads(sentence=f"The key {ending.strip()} of apple_rn ends in 12 days.")
    admin.sees("No next one is there: upload it now, and it is checked at once.")

    key_id = f"NEXT{company.pk:06}"
    next_key = f"{stage.sandbox.demo.team_id}/{key_id}"
    admin.reads("Upload the next key", sentence="Upload the next credential")
    admin.page.set_input_files("main [name=file]", stage.sandbox.add_key(key_id))
    admin.page.fill("main [name=team_id]", stage.sandbox.demo.team_id)
    with admin.page.expect_navigation():
        admin.page.locator("main").get_by_role("button", name="Upload").click()
    admin.reads(sentence=f"The next one, {next_key}, is good: promote it.")
    admin.reads("See the next key", "Promote", sentence=f"pushes are signed with {next_key}")
