"""The same requests through every framework: the same events come out."""

import asyncio
import threading
import warnings
from ipaddress import ip_address

import pytest
from consentry import Consent
from consentry.web import Watch, context_of, with_browser

django = pytest.importorskip("django")
pytest.importorskip("flask")
pytest.importorskip("fastapi")
pytest.importorskip("httpx")

HTML = "<!doctype html><title>Shop</title>"
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
    "Referer": "https://search.example/?q=tea&token=canary",
    "Accept-Language": "de-AT,de;q=0.9",
    "Sec-GPC": "1",
    "X-User": "u-1",
    "X-Agreed": "1",
}


def watch_of(header):
    """Reads the visitor from headers; an application would ask its session."""

    def consent(request):
        return {"analytics": True} if header(request, "X-Agreed") else None

    return Watch(
        consent=consent,
        user_id=lambda request: header(request, "X-User"),
        anonymous_id=lambda _request: "a-1",
        session_id=lambda _request: None,
    )


def flask_get(client, path, headers):
    from consentry.flask import ConsentryFlask
    from flask import Flask, g

    app = Flask("shop")
    ConsentryFlask(app, client, watch_of(lambda request, name: request.headers.get(name)))

    @app.get("/page")
    def page():
        g.consentry.track("seen", {"where": "page"})
        return HTML

    @app.get("/data")
    def data():
        return {"data": 1}

    return app.test_client().get(path, headers=headers, base_url="http://shop.example").status_code


def fastapi_get(client, path, headers):
    import httpx
    from consentry.fastapi import ConsentryMiddleware
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse

    app = FastAPI()
    app.add_middleware(ConsentryMiddleware, client=client, watch=watch_of(lambda request, name: request.headers.get(name)))

    @app.get("/page")
    async def page(request: Request) -> HTMLResponse:
        request.state.consentry.track("seen", {"where": "page"})
        return HTMLResponse(HTML)

    @app.get("/data")
    async def data() -> dict:
        return {"data": 1}

    async def ask():
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
            return (await http.get(path, headers=headers)).status_code

    return asyncio.run(ask())


def aiohttp_get(client, path, headers):
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer
    from consentry.aiohttp import consentry_middleware

    async def page(request):
        request["consentry"].track("seen", {"where": "page"})
        return web.Response(text=HTML, content_type="text/html")

    async def data(_request):
        return web.json_response({"data": 1})

    async def ask():
        app = web.Application(
            middlewares=[consentry_middleware(client, watch_of(lambda request, name: request.headers.get(name)))]
        )
        app.router.add_get("/page", page)
        app.router.add_get("/data", data)
        async with TestClient(TestServer(app)) as http:
            return (await http.get(path, headers={**headers, "Host": "shop.example"})).status

    return asyncio.run(ask())


def _configure_django():
    from django.conf import settings
    from django.http import HttpResponse, JsonResponse
    from django.urls import path

    def page(request):
        request.consentry.track("seen", {"where": "page"})
        return HttpResponse(HTML)

    async def slow_page(request):
        await asyncio.sleep(0)
        return page(request)

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=(), MIDDLEWARE=["consentry.django.ConsentryMiddleware"], USE_TZ=True)
        django.setup()
    settings.ROOT_URLCONF = (
        path("page", page),
        path("slow", slow_page),
        path("data", lambda _request: JsonResponse({"data": 1})),
    )
    return settings


def django_get(client, path, headers):
    from django.test import Client

    settings = _configure_django()
    settings.CONSENTRY = {"client": client, "watch": watch_of(lambda request, name: request.headers.get(name))}
    return Client(headers=headers, SERVER_NAME="shop.example").get(path).status_code


def django_async_get(client, path, headers):
    from django.test import AsyncClient

    settings = _configure_django()
    settings.CONSENTRY = {"client": client, "watch": watch_of(lambda request, name: request.headers.get(name))}
    path = path.replace("/page", "/slow")

    async def ask():
        return (await AsyncClient().get(path, headers=headers)).status_code

    return asyncio.run(ask())


GETS = [flask_get, fastapi_get, aiohttp_get, django_get, django_async_get]


@pytest.fixture(params=GETS, ids=lambda get: get.__name__.removesuffix("_get"))
def get(request, client):
    """Runs in a thread without an event loop, as the frameworks' own test clients want it."""

    def _get(path, headers=HEADERS):
        found = []

        def work():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the frameworks' own
                found.append(request.param(client, path, headers))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert client.flush()
        return found[0]

    return _get


def test_a_page_is_a_view_with_the_visitors_choice_and_nothing_secret(get, transport):
    assert get("/page?utm_source=news&email=canary@example.com") == 200
    seen, view = transport.events
    assert (seen["event"], seen["properties"], view["type"]) == ("seen", {"where": "page"}, "page")
    for event in (seen, view):
        assert (event["userId"], event["anonymousId"]) == ("u-1", "a-1")
        assert "sessionId" not in event
        context = event["context"]
        assert context["consent"] == {"purposes": {"analytics": True}, "gpc": True}
        assert context["page"]["url"].startswith("http://")
        assert context["page"]["url"].endswith("?utm_source=news&email=[redacted]")
        assert context["page"]["referrer"] == "https://search.example/?q=tea&token=[redacted]"
        assert context["ip"] == "127.0.0.1"
        assert context["userAgent"] == HEADERS["User-Agent"]
        assert context["locale"] == "de-AT"
    assert "canary" not in repr(transport.events)


@pytest.mark.parametrize("answer", [True, 5, '{"analytics": true}', [("analytics", True)]])
def test_an_answer_that_is_no_consent_breaks_no_request_and_grants_nothing(client, answer):
    bound = Watch(consent=lambda _request: answer).bind(client, None, "/", {}.get, None)
    assert bound.given["consent"] == Consent()


def test_an_id_that_cannot_be_written_is_none(client):
    class Lazy:
        def __str__(self):
            raise RuntimeError("no database")

    assert "user_id" not in Watch(user_id=lambda _request: Lazy()).bind(client, None, "/", {}.get, None).given


@pytest.mark.parametrize("host", [b"x:99999", b"\xff", b"x:abc"])
def test_a_host_that_is_none_breaks_no_request(client, host):
    from aiohttp import web
    from consentry.aiohttp import consentry_middleware

    async def hello(_request):
        return web.Response(text="hello")

    async def ask():
        app = web.Application(middlewares=[consentry_middleware(client)])
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await runner.cleanup()
        return answer

    assert asyncio.run(ask()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/data", "/nowhere"])
def test_what_is_no_page_is_no_view(get, transport, path):
    assert get(path) in {200, 404}
    assert transport.events == []


def test_a_visitor_who_said_nothing_claims_nothing(get, transport):
    get("/page", {"User-Agent": "x"})
    assert "consent" not in transport.events[0]["context"] or transport.events[0]["context"]["consent"] == {}
    assert "userId" not in transport.events[0]


def test_a_question_that_fails_breaks_no_request_and_grants_nothing(client):
    def explode(_request):
        raise RuntimeError("canary")

    bound = Watch(consent=explode, user_id=explode).bind(client, None, "http://shop.example/", {}.get, None)
    assert bound.given["consent"] == Consent()
    assert "user_id" not in bound.given


@pytest.mark.parametrize("answer", [False, True, b"u-1", {"id": 1}])
def test_what_is_neither_text_nor_number_is_nobody(client, transport, answer):
    watch = Watch(user_id=lambda _request: answer, anonymous_id=lambda _request: 7, address=lambda _request: answer)
    assert watch.bind(client, None, "http://shop.example/", {}.get, "203.0.113.5").track("seen")
    assert client.flush()
    event = transport.events[0]
    assert "userId" not in event
    assert event["anonymousId"] == "7"
    assert "ip" not in event["context"]


def test_an_address_may_be_an_object(client, transport):
    watch = Watch(address=lambda _request: ip_address("203.0.113.5"))
    assert watch.bind(client, None, "http://shop.example/", {}.get, None).track("seen")
    assert client.flush()
    assert transport.events[0]["context"]["ip"] == "203.0.113.5"


@pytest.mark.parametrize(
    ("said", "headers", "sent"),
    [
        (None, {}, {}),
        (None, {"DNT": "1"}, {"dnt": True}),
        ({"analytics": False}, {"Sec-GPC": "1"}, {"purposes": {"analytics": False}, "gpc": True}),
        (Consent(tcf="CP"), {"Sec-GPC": "0", "DNT": "0"}, {"tcf": "CP"}),
    ],
)
def test_what_the_browser_says_goes_with_what_the_visitor_chose(said, headers, sent):
    assert with_browser(said, headers.get).as_context() == sent


@pytest.mark.parametrize("url", ["////x[", "http:////x[", "//[", "http://[", "http:////[::1]:x", "\ud800//"])
def test_no_url_breaks_a_request(client, url):
    Watch().bind(client, None, url, {"Referer": url}.get, None).page()


def test_a_context_has_what_is_known_only():
    assert context_of("http://shop.example/a?b=1", {}.get, None) == {"page": {"url": "http://shop.example/a?b=1", "path": "/a"}}
