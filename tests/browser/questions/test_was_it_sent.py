"""Whether a server has sent anything, and where single pushes stopped."""

from collections.abc import Callable

from tests.browser.questions.admin import Admin, Search
from tests.browser.questions.company import Company

Enter = Callable[[Company], Admin]


def test_did_my_server_send_anything_at_all(company: Company, ada: Enter) -> None:
    company.push()
    company.taken_in()
    ada(company).reads("Servers & keys", company.server_name, sentence="The last push came")
