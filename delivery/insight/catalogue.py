"""The catalogue of outcome codes: what each means in general, for pages that speak of many pushes or of none.

The rows are those of the verdict tables (delivery/outcomes/own.py, each provider's outcomes.py): a code that is added
there is here by itself. Pure.
"""

from typing import Final, NamedTuple

from delivery.outcomes import judge, own, removal
from delivery.outcomes.verdict import Answer, Attribution, Outcome, Retry, Verdict
from delivery.providers import table
from tenants.providers.table import PROVIDERS

# What a verdict's text says of one push, said of pushes in general. The longer ones come first.
_IN_GENERAL: Final = (
    (" ({detail})", ""),
    ("{remark}", ""),
    ("project than {project}", "project than the app's"),
    ("project {project}", "the app's project"),
    ("key {key_id}", "the app's key"),
    ("the topic {topic}", "the app's topic"),
    ("another app than {topic}", "another app than the one that the topic names"),
    ("{topic}", "the app's topic"),
    ("to {form}, with your key in the place of KEY", "to its value as the page of the key shows it"),
    ("the platform {label}", "its platform"),
    ("exactly this platform label", "exactly the label of its platform"),
    ("app {label}", "app"),
    ("{status} {reason}, which", "something that"),
    ("answered {status} and gave no reason", "answered with an error and no reason"),
    ("within {seconds} s", "in time"),
    (" ({reason})", ""),
    ("{host}", "the provider"),
    ("{address}", "its address"),
    ("{contact}", "whoever operates this push service"),
)
_CAUSES: Final = {
    "sent": "the provider accepted the push",
    "over_limit": "more pushes came at once than the limits of the server or of the customer allow",
    "too_large": "the request is larger than this push service reads",
}


class Entry(NamedTuple):
    """What a code means.

    `provider` is the family whose word it is ("apns", "fcm"), "" for the codes of our own; cause and fix are parts of
    a sentence, without a capital and a full stop; `answer` is what the server is told (OK, REMOVE, FAIL); `replies`
    are the provider's own words that lead to it, such as "400 BadTopic"; of_credential: its cause lies in the app's
    credential or set-up, and is ours where the app is ours; `retry` says whether, and how, such a push is tried again;
    of_key: the credential itself was refused, which is its provider's where that refuses many customers' at once.
    """

    code: str
    provider: str
    cause: str
    fix: str
    attribution: Attribution
    outcome: Outcome
    answer: str
    counts_in_sla: bool
    of_credential: bool
    replies: tuple[str, ...]
    retry: Retry
    of_key: bool

    @property
    def title(self) -> str:
        """The cause as a sentence without its full stop: "Apple refused the app's topic"."""
        return self.cause[:1].upper() + self.cause[1:]

    @property
    def advice(self) -> str:
        """The fix as a sentence with its full stop."""
        return self.advice_for(self.attribution)

    def advice_for(self, attribution: str) -> str:
        """What to do about pushes that are put down to somebody, as a sentence with its full stop."""
        fix = self.fix_for(attribution)
        return f"{fix[:1].upper()}{fix[1:]}."

    def fix_for(self, attribution: str) -> str:
        """What to do about pushes that are put down to somebody, who may be another than mostly."""
        if attribution == "ours" and self.of_credential:
            # The app is the operator's: the row's own words are for whoever owns it.
            return "the app is the operator's, who has to act; report it if it lasts"
        if attribution == "provider" and self.of_credential:
            named = PROVIDERS.get(self.provider)
            return judge.REFUSES_EVERYBODY.format(name=named.name if named else "the provider")
        return self.fix

    @property
    def whose(self) -> str:
        """Whose it is, in words: "Apple", "this push service", "your set-up", "the phone"."""
        return whose(self.attribution, self.provider)


def whose(attribution: str, provider: str = "") -> str:
    """Who an attribution names, in words; `provider` is the family that is meant, "" if none is known."""
    named = PROVIDERS.get(provider)
    words = {
        "ours": "this push service",
        "provider": named.name if named else "Apple or Google",
        "customer": "your set-up",
        "device": "the phone",
    }
    return words.get(attribution, "nobody is known")


def _in_general(text: str) -> str:
    for template, words in _IN_GENERAL:
        text = text.replace(template, words)
    return text


def _replies(verdict: Verdict, family: str) -> tuple[str, ...]:
    answers = table.OUTCOMES[family].answers if family else {}
    code = verdict.code
    doubtful = next((each for each, row in table.PROVEN.items() if row.code == code), code)
    # A reason of ours tells two meanings of one word apart behind a slash.
    said = (key for key, row in answers.items() if row.code in (code, doubtful))
    return tuple(dict.fromkeys(f"{status} {reason.partition('/')[0]}" for status, reason in said))


def _entry(verdict: Verdict, family: str) -> Entry:
    cause = _CAUSES.get(verdict.code) or _in_general(verdict.cause)
    return Entry(
        verdict.code,
        family if verdict.code != "sent" else "",
        cause,
        _in_general(verdict.fix) if verdict.code != "sent" else "nothing to do",
        verdict.attribution,
        verdict.outcome,
        Answer(verdict.answer).name,
        verdict.counts_in_sla,
        verdict.is_credential_fault,
        _replies(verdict, family) if verdict.code != "sent" else (),
        verdict.retry,
        verdict.is_key_fault and verdict.attribution == "customer",
    )


def _entries() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for family, rows in table.OUTCOMES.items():
        for verdict in (rows.sent, *rows.answers.values(), rows.unknown, rows.trouble, *rows.transport.values()):
            found.setdefault(verdict.code, _entry(verdict, family))
            if verdict.remove_when_proven:
                proven = table.PROVEN[verdict.code]
                found.setdefault(proven.code, _entry(proven, family))
    for verdict in (*removal.ROWS, *own.REFUSALS.values(), *own.TRANSPORT.values(), own.UNKNOWN_FAULT):
        found.setdefault(verdict.code, _entry(verdict, ""))
    return found


ENTRIES: Final = _entries()
"""Every code of ours and of the providers, in the order of the tables: the providers' first."""


def entry(code: str) -> Entry | None:
    """What a code means; None for one that is in no table, such as one of an older version in the log."""
    return ENTRIES.get(code)
