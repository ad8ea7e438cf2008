"""As all pages write a moment: 30 Nov 2026, 14:36.

https://docs.djangoproject.com/en/5.2/topics/i18n/formatting/#creating-custom-format-files
"""

from typing import Final

DATE_FORMAT: Final = "j M Y"
SHORT_DATE_FORMAT: Final = "j M Y"
TIME_FORMAT: Final = "H:i"
DATETIME_FORMAT: Final = "j M Y, H:i"
SHORT_DATETIME_FORMAT: Final = "j M Y, H:i"
