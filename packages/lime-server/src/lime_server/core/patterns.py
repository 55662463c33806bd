"""Our rules about texts once more, as regular expressions that programs can read.

The OpenAPI document carries them, so that whoever generates a client or a form learns what will be
accepted. They describe; what decides are the functions that each names, and tests hold the two
together. Lengths are said beside them. They are written in what ECMA-262 with its `u` flag, which
JSON Schema asks for (2020-12, section 6.4), and Python's `re` have in common.
"""

# Beyond four digits the two dialects have no escape in common: those stand for themselves.
_CONTROLS = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f"
)
"""What no name may hold: Unicode's categories Cc, Cf, Zl and Zp. Of Cs, JSON cannot hold any."""
_SPACES = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `str.strip` takes away."""
_EDGE = f"[{_SPACES}]*"
_HEX = "[0-9A-Fa-f]"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_GROUP = f"{_HEX}{{1,4}}"
_V6 = "|".join(
    [
        f"(?:{_GROUP}:){{7}}{_GROUP}",
        # Up to seven groups around a gap, of which `before` at most stand before it.
        *(
            f"(?:{_GROUP}(?::{_GROUP}){{0,{before - 1}}})?::"
            f"(?:{_GROUP}(?::{_GROUP}){{0,{6 - before}}})?"
            for before in range(1, 7)
        ),
    ]
)
"""IPv6 addresses in groups (RFC 4291, section 2.2); with an IPv4 tail is how no URL is written."""
_PORT = (
    "(?::0*(?:[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)
_HTTPS = "[Hh][Tt][Tt][Pp][Ss]://"
_HTTP = "[Hh][Tt][Tt][Pp]://"
_LOCALHOST = "[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt]"
_LOOPBACK = rf"127(?:\.{_OCTET}){{3}}|\[::1\]"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:{_V6})\])"
_REST = r"(?:[/?#][!-\[\]-~]*)?"

ID = f"^{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}$"
"""`core.ids.parse_id`."""
LINE = f"^{_EDGE}[^{_CONTROLS}{_SPACES}](?:[^{_CONTROLS}]*[^{_CONTROLS}{_SPACES}])?{_EDGE}$"
"""`core.names.display_name` and `core.names.reason`."""
TEXT = rf"^{_EDGE}(?:[^{_CONTROLS}]|[\n\t]|\r\n)*{_EDGE}$"
"""`core.names.description`."""
DOMAIN = rf"^{_EDGE}(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.?{_EDGE}$"
"""`core.names.domain_name`."""
AVATAR_URL = f"^(?:{_HTTPS}{_HOST}{_PORT}{_REST})?$"
"""`core.names.avatar_url`."""
REDIRECT_URI = (
    rf"^(?:{_HTTPS}{_HOST}|{_HTTP}(?:(?:{_LABEL}\.)*{_LOCALHOST}|{_LOOPBACK})){_PORT}"
    r'(?:[/?][!"$-)+-\[\]-~]*)?$'
)
"""What a site's list takes: no fragment, no wildcard. Plain http only where the server itself is
on loopback."""
REDIRECT_URL = (
    rf"^(?:{_HTTPS}(?:[!-\u0022$-.0-9;->A-Z^-~]+|\[(?:{_V6})\])|{_HTTP}(?:{_LOCALHOST}|{_LOOPBACK}))"
    f"{_PORT}{_REST}$"
)
"""`modules.site_login.service.fit_redirect_url`."""
BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
"""RFC 4648, section 4, with its padding."""
VISIBLE = "^[!-~]*$"
"""Visible ASCII."""
PRINTABLE = "^[ -~]*$"
"""ASCII without controls."""
