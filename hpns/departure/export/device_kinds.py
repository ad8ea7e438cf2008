"""What of devices and platforms is in a customer's export: file, description, model, and fields with their meaning."""

from typing import Final

from delivery.models import ActiveDevice, Device, DeviceCount, PlatformSighting
from hpns.departure.export.schema import Field, Kind
from tenants.fence import TenantModel
from tenants.models import RemoveHold

_FILES: Final[tuple[tuple[str, str, type[TenantModel], tuple[tuple[str, str], ...]], ...]] = (
    (
        "devices.jsonl",
        "The phones that pushes were for, a line for each server and app that reached them. All times are those of "
        "pushes.",
        Device,
        (
            ("device", "a keyed fingerprint of the device token"),
            ("server_id", "the server, by its id in servers.jsonl"),
            ("app_id", "the app; 0: none was found"),
            ("family", "apns, fcm or other"),
            ("first_at", "the first push"),
            ("last_at", "the last push"),
            ("sent_at", "the last that Apple or Google took"),
            ("acked_at", "the last that the phone acknowledged"),
            ("removed_at", "the last that was answered with REMOVE"),
            ("removed_code", "why"),
            ("failed_at", "the last that came to nothing otherwise"),
            ("failed_code", "why"),
            ("session_at", "the last that said that its session had ended"),
        ),
    ),
    (
        "active_devices.jsonl",
        "Which phones each server has reached in which month.",
        ActiveDevice,
        (
            ("month", "its first day"),
            ("server_id", "the server, by its id in servers.jsonl"),
            ("device", "a keyed fingerprint of the device token"),
            ("days", "bit n - 1 is set where it was on the nth day of the month (UTC)"),
        ),
    ),
    (
        "platforms.jsonl",
        "Since when each server sends for which platform.",
        PlatformSighting,
        (
            ("server_id", "the server, by its id in servers.jsonl"),
            ("platform", "the platform, such as apple_rn-v2"),
            ("first_at", "the first push"),
        ),
    ),
    (
        "active_device_counts.jsonl",
        "How many phones were reached in each month.",
        DeviceCount,
        (
            ("month", "its first day"),
            ("server_id", "the server, by its id in servers.jsonl; 0: all together"),
            ("devices", "how many in the month"),
            ("by_day", "how many on each of its days (UTC)"),
        ),
    ),
    (
        "remove_holds.jsonl",
        "When so many of your devices would have been removed at once that none was.",
        RemoveHold,
        (
            ("app_id", "the app, by its id in apps.jsonl; or one that is shared"),
            ("credential_id", "the credential, by its id in credentials.jsonl; or one of a shared app"),
            ("held_at", "since when none is removed; empty: they are again"),
            ("released_at", "when somebody has released it last"),
            ("mailed_at", "when an e-mail was written about it last"),
            ("devices", "how many would have been removed within ten minutes"),
            ("tokens", "of how many"),
            ("code", "what was said of the last of them"),
        ),
    ),
)

DEVICES: Final = tuple(
    Kind(file, description, model, "customer_id", tuple(Field(*field) for field in fields))
    for file, description, model, fields in _FILES
)
