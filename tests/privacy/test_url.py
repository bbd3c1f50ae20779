# ruff: noqa: E501, RUF001 -- URLs as they are sent
from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from consentryd.privacy.segment import REDACTED, is_sensitive
from consentryd.privacy.url import MAX_CHARS, NO_PAGE, PATH_CHARS, Page, _coarsen, coarsen_url, referrer_host

KEEP = frozenset({"utm_source", "utm_medium", "utm_campaign"})
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://www.example.com", "www.example.com", "/"),
        ("https://www.example.com/", "www.example.com", "/"),
        ("https://WWW.Example.COM:8443/Pricing/", "www.example.com", "/Pricing/"),
        ("HTTPS://example.com./a", "example.com", "/a"),
        ("http://localhost:3000/app", "localhost", "/app"),
        ("https://example.com//a///b", "example.com", "/a/b"),
        ("https://example.com/a/./b/../c/..", "example.com", "/a/"),
        ("https://example.com/../../etc/%2e%2E/x", "example.com", "/x"),
        ("https://example.com/a?b#c", "example.com", "/a"),
        ("https://example.com/#/users/7", "example.com", "/"),
        ("https://example.com?x=1", "example.com", "/"),
        ("https://bücher.example/Über/uns", "xn--bcher-kva.example", "/Über/uns"),
        ("https://straße.example/", "xn--strae-oqa.example", "/"),
        ("https://example.com/%C3%9Cber%20uns", "example.com", "/Über uns"),
        ("https://example.com/a%2Fb/c%5Cd", "example.com", "/a%2Fb/c%5Cd"),
        ("https://example.com/a%252Fb", "example.com", "/a%2Fb"),
        ("https://example.com/100%25/x", "example.com", "/100%/x"),
        ("https:\\\\example.com\\a\\b", "example.com", "/a/b"),
        ("https:/example.com/a", "example.com", "/a"),
        ("https:example.com/a", "example.com", "/a"),
        ("ht\ntps://exam\tple.com/a\r\nb", "example.com", "/ab"),
        ("  https://example.com/a  ", "example.com", "/a"),
        ("https://example.com/\u202egpj.exe\ud800", "example.com", "/gpj.exe"),
        ("https://example.com/a;jsessionid=0123/b;v=1?x", "example.com", "/a/b"),
        ("https://example.com/a%3Bjsessionid=0123", "example.com", "/a"),
        ("https://example.com/reset%3Ftoken=abc/x", "example.com", "/reset/x"),
        ("https://example.com/reset&token=abc", "example.com", "/reset"),
        ("https://example.com/rock-&-roll", "example.com", "/rock-&-roll"),
        ("//cdn.example.com/lib.js", "cdn.example.com", "/lib.js"),
        ("/pricing?x=1#y", None, "/pricing"),
        ("pricing/monthly", None, "/pricing/monthly"),
        ("?x=1", None, None),
        ("#top", None, None),
        ("https://203.0.113.7/a", None, "/a"),
        ("https://[2001:db8::1]:443/a", None, "/a"),
        ("http://2130706433/", None, "/"),
        ("http://0x7f.1/", None, "/"),
        ("http://exa mple.com/a", None, "/a"),
        ("http://example.com:port/a", None, "/a"),
        ("capacitor://localhost/tabs/home", "localhost", "/tabs/home"),
        ("chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb/popup.html", "aapbdbdomjkkjkaonfhkkikfgjllcleb", "/popup.html"),
        ("file:///Users/jane/Desktop/report.html", None, "/report.html"),
        ("file:///C:\\Users\\jane\\index.html", None, "/index.html"),
    ],
)
def test_a_url_becomes_host_and_path(url: str, host: str | None, path: str | None) -> None:
    assert coarsen_url(url, KEEP) == Page(host, path)


@pytest.mark.parametrize(
    "url",
    [
        None, "", "   ", "javascript:alert('x')", "javascript://example.com/%0Aalert(1)", "view-source://example.com/a", "JavaScript:alert(1)", "java\nscript:alert(1)", "data:text/html,<p>jane@example.com", "mailto:jane@example.com",
        "tel:+491701234567", "blob:https://example.com/550e8400-e29b-41d4-a716-446655440000", "about:blank", "http://", "https:///", "//", "jane:secret@example.com/x",
    ],
)  # fmt: skip
def test_what_is_no_page_leaves_nothing(url: str | None) -> None:
    assert coarsen_url(url, KEEP)[::2] == NO_PAGE[::2]
    assert coarsen_url(url, KEEP).path in {None, "/"}


@pytest.mark.parametrize(
    "authority",
    ["jane:s3cret@example.com", "jane@example.com", "jane@corp:s3cret@example.com:443", "jane%40corp:s3cret@example.com", "jane:s3cret%2F@example.com", "jane:@example.com"],
)  # fmt: skip
def test_user_and_password_never_stay(authority: str) -> None:
    assert coarsen_url(f"https://{authority}/a") == Page("example.com", "/a")


@pytest.mark.parametrize(
    "url",
    [
        "http://jane:s3cret%40example.com/",
        "http://jane:12/s3cret@example.com/a",
        "http://jane%40example.com/",
        "http://jane:s3?cret@example.com/a",
    ],
)
def test_broken_user_info_leaves_no_secret(url: str) -> None:
    page = coarsen_url(url, KEEP)
    assert "s3" not in str(page)
    assert "cret" not in str(page)
    assert "@" not in str(page)


@pytest.mark.parametrize(
    "segment",
    [
        "jane@example.com", "jane%40example.com", "jane%2540example.com", "jane%25252540example.com", "jane.doe+tag@mail.example.co.uk", "jane＠example.com", "jane@163.com",
        "user:pass@host", "mailto:jane@example.com", JWT, JWT.split(".", maxsplit=1)[0], "550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e", "507f1f77bcf86cd799439011", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "amFuZUBleGFtcGxlLmNvbQ==",
        "amFuZUBleGFtcGxlLmNvbQ%3D%3D", "V1StGXR8_Z5jdHi6B-myT", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "token=4eC39HqLyjWDarjtT1zdp7dc", "203.0.113.77", "2001:db8::1", "::ffff:203.0.113.77", "+491701234567", "+49%20170%201234567", "a%2Fjane@example.com", "x" * 256,
        "dQw4w9WgXcQ-dQw4w9WgXcQ", "%252525252541",
    ],
)  # fmt: skip
def test_a_segment_that_names_a_person_or_opens_a_door_is_redacted(segment: str) -> None:
    assert coarsen_url(f"https://example.com/u/{segment}/edit").path == f"/u/{REDACTED}/edit"
    assert coarsen_url(f"https://example.com/?utm_source={segment.replace('+', '%2B')}", KEEP).query == (
        ("utm_source", REDACTED),
    )


@pytest.mark.parametrize(
    "segment",
    [
        "pricing", "how-to-write-better-code-in-2024", "How-To-Use-Python-3.12-For-Data-Analysis", "samsung-galaxy-s23-ultra-256gb-5g", "12345678901234567", "2024-05-17",
        "B08N5WRWNW", "dQw4w9WgXcQ", "v1.2.3", "1.2.3", "120.0.6099.109", "@babel", "core@7.24.0", "logo@2x.png", "ListOfCountriesByPopulation2020", "getHTTPResponseCode",
        "donaudampfschifffahrtsgesellschaftskapitaen", "eyjafjallajokull-eruption", "de_DE", "C++", "a1b2c3d", "iPhone-15-Pro-Max", "sony-wh1000xm5-headphones", "index.html",
        "1:1", "10:30", "rock&roll", "~jane", "über-uns", "日本語のページ", "12,5", "(a)", "$x",
    ],
)  # fmt: skip
def test_words_slugs_versions_numbers_and_short_ids_stay(segment: str) -> None:
    assert coarsen_url(f"https://example.com/p/{segment}/x").path == f"/p/{segment}/x"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("utm_source=google&gclid=abc&utm_medium=cpc", (("utm_source", "google"), ("utm_medium", "cpc"))),
        ("utm_source=a+b%20c", (("utm_source", "a b c"),)),
        ("utm%5Fsource=x", (("utm_source", "x"),)),
        ("utm_source=first&utm_source=second", (("utm_source", "first"),)),
        ("a=1&amp;utm_source=x", (("utm_source", "x"),)),
        ("utm_source=&utm_medium", ()),
        ("UTM_SOURCE=x", ()),
        ("email=jane@example.com&token=x", ()),
        ("utm_source=x%26token=secret", (("utm_source", "x"),)),
        ("utm_source=x%2526token%253Dsecret", (("utm_source", "x"),)),
        ("utm_source=" + "word " * 40, (("utm_source", ("word " * 40).strip()),)),
        ("utm_source=a\x00b%0Ac%0A", (("utm_source", "ab c"),)),
        ("utm_campaign=jane@example.com", (("utm_campaign", REDACTED),)),
        ("&&&=&=x&utm_source=y", (("utm_source", "y"),)),
        ("&" * 200 + "utm_source=late", ()),
    ],
)
def test_only_listed_parameters_stay(query: str, kept: tuple[tuple[str, str], ...]) -> None:
    assert coarsen_url(f"https://example.com/?{query}", KEEP).query == kept
    assert coarsen_url(f"https://example.com/?{query}").query == ()


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://www.google.com/", "www.google.com"),
        ("https://jane:x@News.Example.com/story?id=7#c", "news.example.com"),
        ("android-app://com.google.android.gm/", "com.google.android.gm"),
        ("android-app://com.google.android.gm", "com.google.android.gm"),
        ("//t.co/x", "t.co"),
        ("/relative", None),
        ("$direct", None),
        ("javascript:void(0)", None),
        ("https://203.0.113.7/", None),
        (None, None),
    ],
)
def test_a_referrer_becomes_its_host(referrer: str | None, host: str | None) -> None:
    assert referrer_host(referrer) == host


def test_an_overlong_url_is_cut_between_its_pieces() -> None:
    long = "https://example.com/" + "ab/" * (MAX_CHARS // 3 - 8) + "jane.doe@example.com"
    page = coarsen_url(long[: MAX_CHARS - 8] + "/jane.doe.with.a.long.name@example.com")
    assert page.host == "example.com"
    assert page.path is not None
    assert len(page.path) <= PATH_CHARS
    assert set(page.path) <= set("/ab")
    tail = coarsen_url("https://example.com/?x=" + "y" * (MAX_CHARS - 40) + "&utm_source=jane.doe@example.com", KEEP)
    assert "jane" not in str(tail)


@pytest.mark.parametrize(
    "url", ["https://example.com/a#/route?utm_source=x", "https://EXAMPLE.com/a#/route?utm_source=x", "/a#?utm_source=x"]
)
def test_a_query_inside_a_fragment_is_part_of_the_fragment(url: str) -> None:
    page = coarsen_url(url, KEEP)
    assert page.path == "/a"
    assert page.query == ()


def test_a_long_path_is_cut_between_segments() -> None:
    page = coarsen_url("https://example.com" + "/abcdefghi" * 200)
    assert page.path == "/abcdefghi" * (PATH_CHARS // 10)


HOSTILE = st.text(st.sampled_from("abzAZ09/\\%@:;?#&=.+-_~[] \t\n\x00\u200b\u202e＠é\ud800"), max_size=80)
MARKED = st.text(st.sampled_from("abc09-._~!$'()*+,=;:@%&"), max_size=12)


@given(
    st.text(max_size=200)
    | HOSTILE
    | st.builds("https://{}".format, HOSTILE)
    | st.builds("https://example.com/{}".format, HOSTILE)
)
@example("https://example.com/%2540%25%34%30")
@example("http://[::1")
@example("https://example.com/%")
@example("http://" + "é" * 300)
def test_any_text_gives_a_page_that_can_be_stored(url: str) -> None:
    host, path, query = coarsen_url(url, KEEP)
    for text in (host, path, *(value for _, value in query)):
        assert text is None or not any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text)
    assert host is None or (host.isascii() and host == host.lower() and not set(host) & set("@:/?#% "))
    assert path is None or (path.startswith("/") and len(path) <= PATH_CHARS and not set(path) & set("?#;\\"))
    assert {name for name, _ in query} <= KEEP
    assert path is None or not any(is_sensitive(segment) for segment in path.split("/"))


@given(st.text(max_size=200) | HOSTILE.map("https://example.com/".__add__))
def test_coarsening_twice_is_coarsening_once(url: str) -> None:
    host, path, _ = coarsen_url(url)
    if host and path:
        assert coarsen_url(f"https://{host}{quote(path, safe='/:%')}") == Page(host, path)


@given(MARKED, MARKED, MARKED, MARKED, st.sampled_from(["http", "https", "HTTPS", "wss", "app"]))
def test_neither_user_info_nor_fragment_nor_unlisted_parameters_come_out(
    user: str, password: str, secret: str, fragment: str, scheme: str
) -> None:
    marks = [f"USER7{user}", f"PASS7{password}", f"SECRET7{secret}", f"FRAG7{fragment}"]
    assume("&utm_" not in secret)
    url = f"{scheme}://{marks[0]}:{marks[1]}@example.com:8080/a/b?q={marks[2].replace('&', '')}&utm_source=x&t={marks[2].replace('&', '')}#{marks[3]}"
    page = coarsen_url(url, KEEP)
    assert page == Page("example.com", "/a/b", (("utm_source", "x"),))


SEGMENTS = st.from_regex(r"[A-Za-z0-9_.-]{1,24}", fullmatch=True) | st.sampled_from(
    ["..", ".", "", "a-b-c", "2024", "x.html", "deadbeefdeadbeef1"]
)


@given(
    st.lists(SEGMENTS, max_size=6).map("/".join),
    st.sampled_from(["", "?utm_source=a%20b&c=d", "#x"]),
    st.sampled_from(["https://shop.example.com/", "/", ""]),
)
def test_the_short_way_of_plain_urls_gives_what_the_long_way_gives(path: str, rest: str, front: str) -> None:
    url = front + path + rest
    if url:
        assert coarsen_url(url, KEEP) == _coarsen(url, KEEP)
