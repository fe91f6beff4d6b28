"""Secrets in the URLs of pages, masked when page views are read, as in Canvas."""

from __future__ import annotations

import re
from urllib.parse import unquote

MASK = "[FILTERED]"

# A URL may be the value of a parameter of another one; then its delimiters are escaped.
_NAME = re.compile(
    r"([?&;#]|%(?:25)*(?:3F|26|3B|23))"
    r"((?:(?!%(?:25)*(?:3F|26|3B|23|3D))[^=?&;#])+)"
    r"(?:=|%(?:25)*3D)",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[^&;#]*")
_ESCAPED_VALUE = re.compile(r"(?:(?!%(?:25)*(?:26|3B|23))[^&;#])*", re.IGNORECASE)
_USER_INFO = re.compile(r"((?://|%2F%2F)[^/?#@:%]*)(?::|%3A)[^/?#@]*@", re.IGNORECASE)

_SECRET_WORDS = frozenset({
    "accesskey", "apikey", "assertion", "auth", "authorization", "bearer", "credential",
    "credentials", "jwt", "key", "pass", "passphrase", "privatekey", "pwd", "samlrequest",
    "samlresponse", "sesskey", "session", "sessionid", "sessionkey", "sid", "sig", "ticket",
    "verifier",
})  # fmt: skip
_SECRET_ENDINGS = ("passwd", "password", "secret", "signature", "token")
_WORD_END = re.compile("[^a-z0-9]+")


def mask_secrets(url: str) -> str:
    """The URL with the values of secret parameters, and the password of a user, replaced."""
    parts, position = [], 0
    for match in _NAME.finditer(url):
        if match.start() < position or not _is_secret(match[2]):
            continue
        value = _ESCAPED_VALUE if match[1].startswith("%") else _VALUE
        parts += [url[position : match.end()], MASK]
        end = value.match(url, match.end())
        position = end.end() if end else match.end()
    return _USER_INFO.sub(rf"\1:{MASK}@", "".join([*parts, url[position:]]))


def _is_secret(name: str) -> bool:
    """Whether a word of the name says that its value is a secret."""
    words = _WORD_END.split(unquote(unquote(name)).lower())
    return any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words)
