"""Staff of each role, with a second factor shown: for tests of what each may see."""

from django.contrib.auth.models import User

from tenants import services, staff_roles
from tests.browsing import Browser

NONE = "no role"
ROLES = (staff_roles.SUPPORT, staff_roles.FINANCE, staff_roles.ADMIN, NONE)


def of_role(role: str) -> Browser:
    """The browser of somebody of the staff who has this role, or none."""
    email = f"{role.replace(' ', '-')}@staff.example"
    user = User.objects.create(username=email, email=email, password="!", is_staff=True)
    if role != NONE:
        services.staff_role(user=user, role=role)
    return Browser().enter(User.objects.get(pk=user.pk), factor=True)
