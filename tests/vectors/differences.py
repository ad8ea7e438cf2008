"""Where this service does on purpose something else than the recorded reference: the data of the comparisons.

A row names a tag of the recording, or single vectors by their names where the reference was right by its own rules, and
says what we do instead and why: which members of the provider's request may differ, and what is expected instead of the
recorded answer; everything else must be equal. Invariant: no row is idle. The comparisons fail on a difference without
a row and on a row without a difference.
"""

from tests.vectors import differences_at_the_door
from tests.vectors.difference import Difference

MESSAGE = ("aps.alert", "message.data.message")
NAMES = ("channel_name", "sender_name", "message.data.channel_name", "message.data.sender_name")
FAIL_ONCE = {"verdict": "FAIL", "requests": 1}
# What is not sent by the deadline is OK, for it is queued, and FAIL if it came too late.
QUEUED = {"requests": range(1, 60), "verdict": ("OK", "FAIL"), "code": ""}

DIFFERENCES = (
    Difference(
        tag="emoji",
        instead="The glyph stands alone; names that the apps do not know (:flag-zz:) stay as they were written.",
        why="The reference adds a blank after each glyph, and its table is not the one that Mattermost's apps use.",
        members=MESSAGE,
    ),
    Difference(
        names=tuple(
            f"Message text (emoji odd, 3) {where}"
            for where in ("to apple_rn-v2", "without a channel name", "to android_rn-v2", "in a session push")
        ),
        instead="In :foo:smile: the smile is shown.",
        why="The reference takes the colon behind an unknown name away from the name that it opens.",
        members=MESSAGE,
    ),
    Difference(
        names=tuple(
            f"Message text (emoji odd, {n}) to {label}-v2" for n in (21, 24) for label in ("apple_rn", "android_rn")
        ),
        instead="Names with a skin tone, and those that Mattermost added itself (:ca:), are shown.",
        why="Mattermost's apps write them into messages; the reference's table lacks them.",
        members=MESSAGE,
    ),
    Difference(
        tag="text_limit",
        instead="The message keeps all that fits into the provider's limit and is cut, with an ellipsis, between "
        "characters; a channel's name is cut at 64 characters, Mattermost's own limit.",
        why="The reference cuts at 2,046 and 64 bytes, inside a character if need be, which then shows as U+FFFD.",
        members=(*MESSAGE, "channel_name", "message.data.channel_name"),
    ),
    Difference(
        tag="replacement_characters",
        instead="A cut UTF-8 sequence becomes one U+FFFD.",
        why="How many there are is no contract; the reference writes one for each byte.",
        members=(*MESSAGE, *NAMES),
    ),
    Difference(
        tag="wipe_not_silent",
        instead="A session wipe wakes the app (content-available) and shows and sounds nothing.",
        why="The server asks for that (cont_ava 1, no message); the reference shows an empty alert with a sound.",
        members=("aps.alert", "aps.content-available", "aps.mutable-content", "aps.sound"),
        providers=("apns",),
    ),
    Difference(
        tag="remove_for_config",
        about="[45].* BadDeviceToken( |$)",
        instead="FAIL, with a text that says what to look at.",
        why="One wrong key, topic or host would mute every phone of a customer until its user logs in again.",
        expected={"verdict": "FAIL", "code": "apns_bad_device_token"},
    ),
    Difference(
        tag="remove_for_config",
        about="DeviceTokenNotForTopic",
        instead="FAIL, with a text that names the topic.",
        why="The app's topic may be wrong rather than the phone.",
        expected={"verdict": "FAIL", "code": "apns_device_token_not_for_topic"},
    ),
    Difference(
        tag="remove_for_config",
        about="MissingDeviceToken",
        instead="FAIL.",
        why="Apple says that of requests, not of phones.",
        expected={"verdict": "FAIL", "code": "apns_missing_device_token"},
    ),
    Difference(
        tag="remove_for_config",
        about="SENDER_ID_MISMATCH",
        instead="FAIL, with a text that names the Firebase project.",
        why="The service account may be another project's than the app's.",
        expected={"verdict": "FAIL", "code": "fcm_sender_id_mismatch"},
    ),
    Difference(
        tag="remove_for_config",
        about="answers [^2].* with the reason",
        instead="UNKNOWN and FAIL, when a reason comes with a status that it is not documented with.",
        why="What nobody documents must not mute a phone.",
        expected={"verdict": "FAIL", "code": "apns_unknown"},
    ),
    Difference(
        tag="expired_token_kept",
        instead="REMOVE for 410 ExpiredToken.",
        why="The token is dead, and Apple says so.",
        expected={"verdict": "REMOVE"},
    ),
    Difference(
        tag="odd_reason",
        about="^APNs answers 410 with a reason in another case",
        instead="Whatever the status, a reason is read in the member `reason`, so spelt; else it is UNKNOWN, FAIL.",
        why="Only Apple's own words may mute a phone.",
        expected={"verdict": "FAIL", "code": "apns_unknown"},
    ),
    Difference(
        tag="no_retry",
        about="ExpiredProviderToken",
        instead="The signing token is renewed at once and the push sent with the new one.",
        why="Nothing but the token was wrong, and Apple took nothing.",
        expected={"requests": 2, "code": "apns_expired_provider_token"},
    ),
    Difference(
        names=tuple(f"FCM answers 401 without details to a {kind} push" for kind in ("message", "session")),
        instead="After a 401, whatever the push, the access token is renewed and the push sent once more.",
        why="The reference goes on with the token that was refused, for up to an hour.",
        expected={"requests": 2, "code": "fcm_unauthenticated"},
    ),
    Difference(
        tag="no_retry",
        about="IdleTimeout|answer(s|ed) (429|500|503)|unusual status 50[24]",
        instead="Sent again while there is time, after what Retry-After asks for or growing pauses with full jitter.",
        why="Apple says that it passes; the reference gives the push up.",
        expected=QUEUED,
    ),
    Difference(
        tag="remove_for_config",
        about="answers 50[0-9] .* with the reason|answers 50[0-9] with the reason",
        instead="The same where the status says that it passes and the reason is one that nobody documents with it.",
        why="A repeat takes the place of the push on the phone, if that had arrived.",
        expected=QUEUED,
    ),
    Difference(
        tag="retry_unreadable",
        about="answers (500|503)",
        instead="UNKNOWN where an error cannot be read, or its reason belongs elsewhere; sent again in time.",
        why="The status says that it passes, and a repeat takes the place of the push on the phone.",
        expected=QUEUED,
    ),
    Difference(
        tag="retry_unreadable",
        about="answers (?!500|503)",
        instead="One request; an error that cannot be read is UNKNOWN.",
        why="It was answered: it is no network error.",
        expected=FAIL_ONCE | {"code": "apns_unknown"},
    ),
    Difference(
        names=("APNs answers 410 with a timestamp that is a string as the body",),
        instead="REMOVE, whatever the form of the timestamp (a text, a fraction): the status and the reason say so.",
        why="The reference decodes it as an integer, and takes any other for a broken connection.",
        expected={"verdict": "REMOVE", "code": ""},
    ),
    Difference(
        tag="resent_after_success",
        instead="OK after one request: 200 is Apple's yes, whatever comes with it.",
        why="The reference shows the same push three times and then says FAIL.",
        expected={"verdict": "OK", "requests": 1},
    ),
    Difference(
        tag="unreadable_success",
        instead="OK: a 2xx is Google's yes, whatever comes with it.",
        why="The push was delivered.",
        expected={"verdict": "OK"},
    ),
    Difference(
        tag="retry_policy",
        about="^(?!.*then UNREGISTERED)",
        instead="Sent again within the push's own 5 s, after what Retry-After asks for, or growing pauses.",
        why="Mattermost waits; up to 15 requests in 24 s are too many, and Retry-After has to be heard.",
        expected=QUEUED,
    ),
    Difference(
        names=("FCM answers UNSPECIFIED_ERROR to a message push",),
        instead="Sent again while there is time, where a repeat takes the place of the push on the phone.",
        why="The status says that it passes.",
        expected=QUEUED,
    ),
    Difference(
        tag="follows_redirects",
        instead="A redirect is an answer that is not documented: UNKNOWN, FAIL.",
        why="The reference follows with a GET, which is no push, and calls it sent.",
        expected=FAIL_ONCE,
    ),
    Difference(
        tag="slow",
        about="answers after|never answers",
        instead="OK within 5 s, for it is queued to be sent once more, in the place of the first.",
        why="It may have arrived, and a Mattermost server must not wait for half a minute.",
        expected={"verdict": "OK", "requests": range(1, 3)},
    ),
    Difference(
        tag="retry_transport",
        about="resets the (stream|first two)",
        instead="UNKNOWN and FAIL when a stream is reset twice after the push was sent whole.",
        why="It may have arrived: it is sent again once, where that takes the place of the first.",
        expected={"verdict": "FAIL", "requests": 2, "code": "transport_reset_unanswered"},
    ),
    Difference(
        tag="retry_transport",
        about="REFUSED_STREAM",
        instead="What REFUSED_STREAM or a GOAWAY disowns is sent again while there is time; then OK: it is queued.",
        why="It was not processed (RFC 9113, 8.7 and 6.8). The reference goes on for 27 s, behind a GOAWAY unpaused.",
        expected={"verdict": "OK", "requests": range(4, 12), "code": ""},
    ),
    Difference(
        tag="retry_transport",
        about="closes the connection (without|twice)",
        instead="UNKNOWN and FAIL when the connection ends twice after the push was sent whole, also behind a GOAWAY "
        "that counts it among what was taken.",
        why="It may have arrived: it is sent again once, where that takes the place of the first.",
        expected={"verdict": "FAIL", "requests": 2, "code": "transport_closed_unanswered"},
    ),
    Difference(
        tag="retry_transport",
        about="middle of a success",
        instead="OK: the status has come, and it is yes.",
        why="The push was delivered.",
        expected={"verdict": "OK", "requests": 1},
    ),
    Difference(
        tag="retry_transport",
        about="middle of an error",
        instead="The status has come, and it is no: FAIL, and not sent again.",
        why="It was answered: it is no network error.",
        expected=FAIL_ONCE,
    ),
    Difference(
        tag="oauth",
        about="invalid_grant|401",
        instead="Google's no to a credential is final for a while: one request for a token, then FAIL.",
        why="Asking five times does not make a key valid.",
        expected={"grants": 1, "code": "credential_unusable"},
    ),
    Difference(
        tag="oauth",
        about="answers 500",
        instead="Asked for again with growing pauses, within the push's own 5 s; then OK, for it is queued.",
        why="The reference asks five times in 7 s.",
        expected={"grants": range(2, 9), "verdict": "OK"},
    ),
    Difference(
        tag="oauth",
        about="without access_token|HTML",
        instead="An answer with neither token nor OAuth error is Google's trouble, as a 500 is; FCM is not called.",
        why="The reference sends `Bearer ` with nothing after it, or asks five times in 7 s.",
        expected={"grants": range(2, 9), "verdict": "OK", "requests": 0},
    ),
    Difference(
        tag="token_in_path",
        instead="A device token is one segment of the path, escaped; one over 1,000 characters so is FAIL.",
        why="The token of one phone must not become another path, query or phone.",
        expected={"verdict": "OK", "requests": 1, "encoded": True},
    ),
    Difference(
        tag="oversize",
        about="^Member (ack_id|category|from_webhook) .* passed whole",
        instead="FAIL, and nothing is sent to Apple.",
        why="Apple would refuse it, and others would wait for it; no Mattermost server sends such a member.",
        providers=("apns",),
        expected={"verdict": "FAIL", "requests": 0, "code": "apns_payload_too_large"},
    ),
    Difference(
        tag="oversize",
        about="^Member (signature|server_id) .* passed whole",
        instead="FAIL, and nothing is sent to Google.",
        why="Google would refuse it, and others would wait for it; no Mattermost server sends such a member.",
        providers=("fcm",),
        expected={"verdict": "FAIL", "requests": 0, "code": "fcm_message_too_large"},
    ),
    Difference(
        tag="oversize",
        about="^Member override_.* passed whole",
        instead="Without the icon, and with 64 characters of the name.",
        why="Google would refuse the whole push for what only adorns it.",
        providers=("fcm",),
        members=("message.data.override_icon_url", "message.data.override_username"),
        expected={"verdict": "OK", "requests": 1, "code": ""},
    ),
    Difference(
        tag="size_limit",
        instead="A body beyond 256 KB is refused at the door; were it let in, the message would be cut to fit.",
        why="The reference reads whatever comes.",
        members=MESSAGE,
        expected={"verdict": "FAIL", "requests": 0, "code": "too_large"},
    ),
    *differences_at_the_door.DIFFERENCES,
)

BODIES = tuple(row for row in DIFFERENCES if row.members or row.tag == "oversize")
"""The rows that a comparison of bodies alone has to do with."""
