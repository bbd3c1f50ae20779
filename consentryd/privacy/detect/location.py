"""User names in file paths, user-info and personal path segments in URLs, and places on maps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from consentryd.privacy.detect.detector import Detector, Finding, Gate
from consentryd.privacy.segment import is_sensitive

_NOBODY: Final = frozenset({"shared", "public", "default", "runner", "node", "app", "root", "user", "www-data"})

#: What follows `/users/`, `/account/` and the like and is a page of the site, without dashes and underscores.
_PAGES: Final = re.compile(
    r"2fa|about|account|accounts|achievements|activate|activation|activity|add|address|addresses|admin|all|api|apps"
    r"|archive|audit|auth|avatar|badges|bank|basket|billing|block|blog|bookings|bookmarks|bulk|bulkedit|calendar|callback"
    r"|cancel|cards|careers|cart|casestudies|casestudy|change|changeemail|changepassword|chat|check|checkout|close|comments"
    r"|company|compare|complete|completed|confirm|confirmation|confirmed|confirmemail|connect|connections|contact|contacts"
    r"|contracts|cookies|count|coupons|create|created|credits|current|customers|dashboard|data|deactivate|default|delete"
    r"|deleted|details|device|devices|directory|disable|discounts|documents|done|downloads|edit|email|emails|enable|error"
    r"|events|exists|export|failed|faq|favorites|favourites|feed|feedback|filter|find|followers|following|forgot"
    r"|forgotpassword|form|friends|general|giftcards|group|groups|guest|help|history|home|identity|import|inbox|index"
    r"|info|install|integrations|invitations|invite|invited|invites|invoices|items|jobs|join|leaderboard|leaders|legal"
    r"|like|likes|list|loans|locations|login|logout|lookup|loyalty|mail|manage|management|map|me|media|members"
    r"|membership|merge|messages|mine|more|my|new|news|newsletter|newsletters|next|notes|notifications|offers|office"
    r"|onboarding|open|orders|organization|organizations|overview|page|partners|password|passwordreset|payment|paymentmethods"
    r"|payments|permissions|personal|phone|photo|photos|plan|plans|points|popular|portal|portfolio|posts|preferences"
    r"|premium|press|privacy|pro|products|profile|profiles|projects|public|purchases|quotes|recent|recover|recovery"
    r"|referrals|refresh|refunds|register|registration|reminders|remove|report|reports|request|requests|resend|reset"
    r"|resetpassword|results|returns|reviews|rewards|role|roles|sales|saved|schedule|search|security|select|self|send"
    r"|sent|session|sessions|settings|setup|share|shipments|shipping|show|signin|signout|signup|sitemap|statements|stats"
    r"|status|stores|stories|subscribe|subscribed|subscription|subscriptions|success|summary|support|surveys|switch|tags"
    r"|tasks|team|teams|terms|testimonials|thanks|thankyou|tickets|token|tokens|top|transactions|transfer|trial|twofactor"
    r"|unsubscribe|update|upgrade|upload|us|usage|users|validate|verification|verified|verify|view|vouchers|wallet"
    r"|watchlist|welcome|wishlist|wishlists"
)
_ENDING: Final = re.compile(r"\.(?:html?|php|aspx?|jsp|json|xml|do|action)\Z")


def _is_somebody(match: re.Match[str]) -> bool:
    return match["user"].lower() not in _NOBODY and not match["user"].startswith("[")


def _is_no_page(match: re.Match[str]) -> bool:
    return _PAGES.fullmatch(_ENDING.sub("", match["id"].lower()).replace("-", "").replace("_", "")) is None


USER_PATH: Final = Detector(
    name="user_path",
    gate=Gate.FILE_PATH,
    sign="/",
    pattern=re.compile(r"(?<![\w.%~-])(?:file://)?/(?:Users|home)/(?P<user>[^\\/:\"\s?#<>|]{1,64})(?=[/\\\s\"]|\Z)"),
    check=_is_somebody,
    group="user",
)
WINDOWS_PATH: Final = Detector(
    name="user_path",
    gate=Gate.FILE_PATH,
    sign=":",
    pattern=re.compile(
        r"(?<![\w.%~-])/?[A-Za-z]:[\\/]{1,2}(?:Users|Documents and Settings)[\\/]{1,2}"
        r"(?P<user>[^\\/:\"\r\n?#<>|]{1,64}(?=[\\/][^\\/\s\"])|(?:[^\\/:\"\s?#<>|]{1,32} ){0,2}[^\\/:\"\s?#<>|]{1,64}(?=[\\/]{0,2}\Z)"
        r"|[^\\/:\"\s?#<>|]{1,64}(?=[\\/]{0,2}\s))"
    ),
    check=_is_somebody,
    group="user",
)
URL_USER: Final = Detector(
    name="url_user",
    gate=Gate.AT,
    sign="://",
    pattern=re.compile(r"(?<![\w])[A-Za-z][A-Za-z0-9+.-]{1,20}://(?P<user>[^/?#\s\"\[]{1,200})@(?=[\w\[])"),
    check=lambda match: match["user"] not in {"git", "hg"},
    group="user",
)
#: In a text a segment ends with a word, in a path with the next slash. What begins with a colon or a bracket stands for an id,
#: in a route or after scrubbing.
PEOPLE: Final = "users?|accounts?|customers?|members?|profiles?|patients?|people|person|clients?|contacts?"
PROFILE: Final = r"(?<=linkedin\.com/)in"


def _ids_until(ends: str) -> re.Pattern[str]:
    return re.compile(rf"/(?:{PEOPLE}|{PROFILE})/(?P<id>[^/?#\"\s\[{{<:*$][^{ends}]{{0,127}})(?=[{ends}]|\Z)", re.IGNORECASE)


_IN_PATH: Final = _ids_until(r"/?#\"\\")


class _UrlIds(Detector):
    __slots__ = ()

    def find(self, text: str) -> Iterator[Finding]:
        pattern = _IN_PATH if " " in text and text[0] == "/" else self.pattern
        for match in pattern.finditer(text):
            if self.check(match):
                yield Finding(*match.span(self.group), self.name, self.kind)


URL_ID: Final = _UrlIds(
    name="url_id",
    gate=Gate.FILE_PATH,
    sign="/",
    pattern=_ids_until(r"/?#\"\s\\"),
    check=_is_no_page,
    group="id",
)

#: What Gravatar and its like know a picture by is the digest of somebody's e-mail address.
PICTURE: Final = "avatar/[0-9a-f]{32}"
AVATAR: Final = Detector(
    name="user_id",
    gate=Gate.FILE_PATH,
    sign="/avatar/",
    pattern=re.compile(r"/avatar/(?P<digest>[0-9a-f]{64}|[0-9a-f]{32})(?![0-9A-Za-z])", re.IGNORECASE),
    group="digest",
)

#: Segments of links that are sent to somebody.
SENT: Final = (
    r"(?:[a-z]{1,16}[-_]){0,2}(?:reset|password|verify|verification|confirm|confirmation|activate|activation|invite|invitations?|unsubscribe"
    r"|opt-?out|link|token|login|sso|auth)(?:[-_][a-z]{1,16}){0,2}"
)
#: What follows in such a link, and is nothing that a person would write.
URL_TOKEN: Final = Detector(
    name="secret",
    gate=Gate.FILE_PATH,
    sign="/",
    pattern=re.compile(rf"/{SENT}/(?P<token>[A-Za-z0-9_.~=-]{{16,512}})(?![\w%])", re.ASCII | re.IGNORECASE),
    check=lambda match: is_sensitive(match["token"]),
    group="token",
)

URL_FRAGMENT: Final = Detector(
    name="url_fragment",
    gate=Gate.FRAGMENT,
    sign="#",
    pattern=re.compile(r"(?:(?<![\w])[A-Za-z][A-Za-z0-9+.-]{1,20}://|\A/)[^\s\"#]{0,2048}(?P<fragment>#[^\s\"]+)"),
    group="fragment",
)

#: RFC 5870, the parameters and paths of maps, and a pair that is all of a text; four decimals are eleven metres.
_PAIR: Final = r"[-+]?[0-9]{1,3}\.[0-9]{4,},[+ ]?[-+]?[0-9]{1,3}\.[0-9]{4,}"
COORDINATE: Final = Detector(
    name="coordinate",
    gate=Gate.ADDRESS,
    sign=",",
    pattern=re.compile(
        rf"(?:\A(?={_PAIR}\Z)|(?<!\w)geo:|/@|/dir/|/place/|/search/"
        r"|[?&](?:s?ll|q|query|center|centre|cp|loc|location|[sd]addr|origin|destination|daddr|point)=(?:loc:)?)"
        rf"(?P<pair>{_PAIR})",
        re.ASCII | re.IGNORECASE,
    ),
    group="pair",
)

DETECTORS: Final = (COORDINATE, URL_FRAGMENT, USER_PATH, WINDOWS_PATH, URL_USER, URL_ID, AVATAR, URL_TOKEN)
