"""Secrets that their form betrays, in texts of others: a job's log, an error of a service.

detect-secrets knows the forms of vendors' tokens; `_TOKENS` has those that it lacks. An unknown
value is a secret by its place: after a secret's name, in a header, in an address. Every expression
takes a time that is linear in the text, because a text may be hostile.
"""

import base64
import binascii
import itertools
import re
from functools import cache, lru_cache

from shared.core.secret_names import is_secret, is_surely_secret

REDACTED = "[redacted]"

_SPACE = r"(?:\s|\\[nrt])"  # also of a text that was escaped
_START = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f][0-9A-Fa-f]))"
_TOKENS = re.compile(
    _START + r"(?:wandb_v[0-9]+_\w{16,}+"
    r"|(?:github_pat|gh[a-z]|hf|api_org|npm|gsk|r8|dckr_pat|do[opr]_v1|lin_api|pul|glc|glsa|secret"
    r"|shp[a-z]{2}|ntn|sbp|whsec|rubygems|fig[du]|sntry[su]|tfp|[sprt]k_live|[sprt]k_test)_[\w=.-]{16,}+"
    r"|gl[a-z]{2,7}-[\w.-]{16,}+|ATATT3[\w=-]{20,}+|nvapi-[\w-]{20,}+"
    r"|(?:sk|pk|rk|xai|pplx|tvly|csk|pcsk)-(?=[\w-]{0,40}[0-9])[\w-]{20,}+"
    r"|pypi-[\w-]{16,}+|xox[a-z]-[\w-]{10,}+|xapp-[\w-]{10,}+"
    r"|AIza[\w-]{30,}+|ya29\.[\w.-]{3,}+|1//0[\w-]{20,}+|GOCSPX-[\w-]{20,}+"
    r"|(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|GOOG)[A-Z0-9]{12,}+"
    r"|dapi[0-9a-f]{30,}+|hv[sbr]\.[\w-]{20,}+|dp\.[ps]t\.\w{20,}+|PMAK-[\w-]{20,}+"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{20,}+"
    r"|eyJ[\w+/=-]{10,}+(?:\.[\w+/=-]{2,}+){0,4})"  # a JWT, or another token that is JSON
)
_WEBHOOK = re.compile(
    r"(?i)(?<=https://)(?:hooks\.slack\.com/[a-z]+|discord(?:app)?\.com/api/webhooks"
    r"|[\w-]{1,60}\.webhook\.office\.com)/[\w/@.-]{10,}+"
)
_KEY_END = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY = re.compile(  # also one that was cut short, at its end or at its beginning
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?(?:-----)?"
    rf"(?:{_SPACE}*+[A-Z][A-Za-z-]{{2,20}}: [^\s\\]{{1,80}}(?: [^\s\\]{{1,80}})?){{0,4}}"
    rf"(?:(?:{_SPACE}|[\"'+\\,>|])*+[A-Za-z0-9+/=]{{16,}}+)*+"
    rf"(?:{_SPACE}*+[A-Za-z0-9+/]{{1,15}}={{1,2}})?+"
    rf"(?:(?:{_SPACE}|[\"'+\\,>|])*+(?:[A-Za-z0-9+/=]{{1,15}}{_SPACE}*+)?{_KEY_END})?"
    rf"|(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{{16,100}}+(?:{_SPACE}++[A-Za-z0-9+/=]{{1,100}}+){{0,60}}+"
    rf"{_SPACE}*+{_KEY_END}"
)
_LOGIN = re.compile(
    r"(?<=://)(?:[^\s/:@'\"<>\\]{0,200}+:(?![0-9]{1,5}/)[^\s'\"<>]{0,300}@"
    r"|[^\s/:@'\"<>\\]{1,300}+@)"
)
_PREFIXED = re.compile(  # what follows the first group is secret
    r"(?i)(?<![\w])("
    r"(?:proxy-|x-[a-z-]{1,40})?(?:authorization|auth)\\*[\"']?[ \t]*+[:=][ \t]*+(?:b?\\*[\"'])?"
    r"(?:(?:basic|bearer|token|digest|negotiate|api-?key|aws4-hmac-sha256)[ \t]++)?"
    r")(?!(?:basic|bearer|token|digest|negotiate)\b)[^\s\"'\\]{3,}+"
)
_COOKIE = re.compile(
    r"(?i)(?<!\w)((?:set-)?cookie\\*[\"']?[ \t]*+:[ \t]*+\\*[\"']?)[^\n\"'\\]{4,}+"
)
_NETRC = re.compile(r"(?i)(\blogin\s{1,9}\S{1,200}\s{1,9}password\s{1,9})\S+")
_USER = re.compile(
    r"(?<=\s)((?:-u[ \t]{0,3}|--user[ =])[^\s:'\"-][^\s:'\"]{0,100}:)(?![0-9]+\b)[^\s'\"]+"
)
_DASH_P = re.compile(
    r"(?i)(\b(?:login\b[^\n]{0,200}?\s-p[ =]?|(?:mysql|mysqldump|sshpass)\b[^\n]{0,200}?\s-p))"
    r"(?![0-9]{1,5}\b)[^\s-]\S*"
)
_SCHEME = re.compile(r"(?i)(?<!\w)((?:bearer|basic)[ \t]{1,3})([\w.~+/=:-]{8,}+)")
_NAME = re.compile(
    r"(?<![\w.-])(-{0,2})([A-Za-z_][\w.-]{0,99}+)(?![\w.-])"
    r"(\\*[\"']?\]?[ \t]{0,3}(?::=|=>|==|[=:])[ \t]{0,3}(?:[bru](?=[\"']))?"
    rf"|>|[ \t]{{1,3}}|\\*[\"'],{_SPACE}{{0,20}}(?=\\*[\"']))"
)
_VARIABLE = re.compile(  # {"name": NAME, "value": …}, also as Python and protobuf print it
    r"(?<!\w)name\\*[\"']?\s{0,3}[:=]\s{0,3}\\*[\"']?([A-Za-z_][\w.-]{0,99}+)\\*[\"']?"
    rf"(?:{_SPACE}|,){{1,40}}\\*[\"']?value\\*[\"']?\s{{0,3}}[:=]\s{{0,3}}"
)
_VALUE = re.compile(r"(\\*[\"'])(.{0,5000}?)\1|[^\s\"'&<>]{1,80}+", re.DOTALL)
_REST = re.compile(r"[^\s\"'&<>]*+(?:[\"'][^\s\"'&<>,;)}\]]+)*+")  # of a value that no quotes end
_PLAIN = re.compile(  # values that are no secrets, whatever their name is
    r"(?i)none|null|nil|true|false|yes|no|unset|set|empty|missing|invalid|str|int|string|bytes"
    r"|a|an|the|it|its|is|has|was|not|must|can|cannot|should|contains|appears|field|input|value"
    r"|write|this|which|in"
    r"|basic|bearer|token|digest|negotiate|self\.\w+|projects/[\w/.-]+|gs://[\w/.-]+"
    r"|\$\{\w+\}|\$[A-Z_]+|%\w|<[^<>]*>?|\[[^\[\]]*\]|\{\w*\}?|[\[(]|\*+|\.+|…|[0-9.]{1,3}"
)
_HEX = re.compile(r"(?i)(?<![0-9a-z])[0-9a-f]{40}(?![0-9a-z])")
_OF_A_KEY = re.compile(
    r"(?i)key|token|passw|secret|credential|netrc|wandb[. ]login|logging in|\bapi\b|auth\b"
)
_OF_A_COMMIT = re.compile(
    r"(?i)commit|\bsha|\bhead\b|checkout|checked|\brev|\btree|branch|digest|hash|\bgit|merge|[/@]$|\bref|\btag"
)
_ENCODED = re.compile(r"(?<![\w+/=-])(?<!sha[0-9]{3}-)[A-Za-z0-9+/_-]{16,}+={0,2}(?![\w+/=-])")
_PAIR = re.compile(r"[a-z_][\w.@+-]{0,60}:\S{8,}")
_UNBROKEN = re.compile(r"\w{0,15}")


def without_shapes(text: str) -> str:
    """Return a text without anything that has the form of a secret."""
    return text if _UNBROKEN.fullmatch(text) else _without_shapes(text)


@lru_cache(maxsize=256)
def _without_shapes(text: str) -> str:
    text = _PRIVATE_KEY.sub(REDACTED, text)
    text = _LOGIN.sub(f"{REDACTED}@", text)
    for form in (_WEBHOOK, *_vendors_forms(), _TOKENS):
        text = form.sub(REDACTED, text)
    for form in (_PREFIXED, _COOKIE, _NETRC, _USER, _DASH_P):
        text = form.sub(rf"\1{REDACTED}", text)
    text = _SCHEME.sub(_scheme, text)
    text = _without_values(text)
    text = _HEX.sub(_hex, text)
    return _ENCODED.sub(_encoded, text)


@cache
def _vendors_forms() -> tuple[re.Pattern[str], ...]:
    """Return detect-secrets' forms, but those that take quadratic time, or that find words."""
    from detect_secrets.plugins import (  # only a process that redacts pays for the import
        azure_storage_key,
        discord,
        github_token,
        gitlab_token,
        mailchimp,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    detectors = (
        azure_storage_key.AzureStorageKeyDetector,
        discord.DiscordBotTokenDetector,
        github_token.GitHubTokenDetector,
        gitlab_token.GitLabTokenDetector,
        mailchimp.MailchimpDetector,
        sendgrid.SendGridDetector,
        slack.SlackDetector,
        square_oauth.SquareOAuthDetector,
        stripe.StripeDetector,
        telegram_token.TelegramBotTokenDetector,
        twilio.TwilioKeyDetector,
    )
    return tuple(form for detector in detectors for form in detector.denylist)


def _without_values(text: str) -> str:
    """Remove the values of secret names: `api_key=…`, `"password": "…"`, `--token …`."""
    begins = {
        named.end(): _is_doubtful(named[1], named[2])
        for named in _NAME.finditer(text)
        if _names_a_value(text, named) and is_secret(named[2])
    }
    begins |= {named.end(): False for named in _VARIABLE.finditer(text) if is_secret(named[1])}
    kept: list[str] = []
    after = 0
    for begin in sorted(begins):
        found = _VALUE.match(text, begin) if begin >= after else None
        if not found:
            continue
        value = found[2] if found[1] else found[0].rstrip(",;)}]")
        plain = not value or REDACTED in found[0] or _PLAIN.fullmatch(value)
        if plain or (begins[begin] and _is_word(value)):
            continue
        first, last = found.span(2)
        if not found[1]:
            first, last = begin, begin + len(value)
            if value == found[0]:
                last += len(_rest_of(text, last).rstrip(",;)}]"))
        kept += [text[after:first], REDACTED]
        after = last
    return "".join([*kept, text[after:]])


def _rest_of(text: str, begin: int) -> str:
    rest = _REST.match(text, begin)
    return rest[0] if rest else ""


def _names_a_value(text: str, named: re.Match[str]) -> bool:
    """Tell whether a name stands before its value: a blank only separates a flag from its value."""
    separator = named[3]
    if separator == ">":
        return text[max(named.start() - 1, 0)] == "<"
    if separator.isspace() or "," in separator:
        return named[1] == "--" and text[named.end() : named.end() + 1] != "-"
    return True


def _is_doubtful(dashes: str, name: str) -> bool:
    """Tell whether the value decides: `key: …` and `token=…` are also prose and code."""
    if dashes and re.search("(?i)secrets?$", name):  # gcloud's flag for the name of a resource
        return True
    return not (dashes or is_surely_secret(name) or name.isupper())


def _is_word(value: str) -> bool:
    """Tell whether a value is a word, a path or code: none of its parts looks random."""
    parts = re.split(r"[^A-Za-z0-9+]", value)
    mixed = any(len(part) >= 8 and re.search(r"[0-9].*[0-9]", part) for part in parts)
    return not (mixed or any(_is_random(part) for part in parts if len(part) >= 12))


def _is_random(text: str) -> bool:
    """Tell whether letters and digits change as often as by chance."""
    kinds = ["a" if each.islower() else "A" if each.isupper() else "0" for each in text]
    changes = sum(one != other for one, other in itertools.pairwise(kinds))
    return len(set(kinds)) == 3 and changes >= 0.4 * len(text)


def _scheme(found: re.Match[str]) -> str:
    value = found[2]
    padded = value.endswith("=") and len(value) % 4 == 0
    return found[0] if _is_word(value) and not padded else f"{found[1]}{REDACTED}"


def _hex(found: re.Match[str]) -> str:
    """Decide by the nearest word whether 40 hexadecimal digits are a W&B key or a commit's id."""
    text, (begin, end) = found.string, found.span()
    before = text[max(begin - 60, 0) : begin]
    key = max((each.end() for each in _OF_A_KEY.finditer(before)), default=-1)
    commit = max((each.end() for each in _OF_A_COMMIT.finditer(before)), default=-1)
    if key == commit == -1:
        after = text[end : end + 30].partition("\n")[0]
        of_a_key = _OF_A_KEY.search(after) and not _OF_A_COMMIT.search(after)
        return REDACTED if of_a_key else found[0]
    return REDACTED if key > commit else found[0]


def _encoded(found: re.Match[str]) -> str:
    """Remove base64 of a secret, such as of `api:KEY`, and long runs that encode no text."""
    run = found[0]
    try:
        data = run.translate(str.maketrans("-_", "+/")).rstrip("=")
        decoded = base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        decoded = ""
    if decoded and decoded.isprintable():
        hidden = _PAIR.fullmatch(decoded) or without_shapes(decoded) != decoded
        return REDACTED if hidden else run
    parts = re.split("[/_+-]", run)
    random = len(run) >= 40 and any(_is_random(part) for part in parts if len(part) >= 16)
    return REDACTED if random else run
