"""One visit: a walk from the landing page through the shop, each step chosen by what stands on the page and who the person is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Final

from examples.shop_events import wire
from examples.shop_events.catalogue import BY_CATEGORY, CATEGORIES, COUPONS, PLANS, PRODUCTS, SEARCHES
from examples.shop_events.population import DENIAL, GRANT, Device, Person, Source, choose_consent

_PRODUCT_WEIGHTS: Final = tuple(accumulate(len(PRODUCTS) - rank for rank in range(len(PRODUCTS))))
_PAUSE_CAP_MS: Final = 20 * 60_000


class Visit:
    """`run` walks; afterwards `time` is its end, `ordered` the cents of the order made as `order_id`, `subscribed` the plan begun, or -1."""

    __slots__ = (
        "_context", "_device", "_head", "_page", "_person", "_product", "_random", "_recorder", "_session",
        "_source", "_started", "order_id", "ordered", "subscribed", "time",
    )  # fmt: skip

    def __init__(self, random: Random, recorder: wire.Recorder, person: Person, time: int, source: Source) -> None:
        self._random = random
        self._recorder = recorder
        self._person = person
        self._source = source
        self._started = self.time = time
        self._device = self._pick_device()
        text = f"{random.getrandbits(64):016x}"
        self.order_id = text[:12]
        self._session = f"{text[:8]}-{text[8:12]}-4{text[12:15]}-a{text[13:16]}"
        self._context = wire.machine(self._device.agent, self._device.ip, person.country.locale, person.country.timezone)
        self._product = 0
        self._page = ""
        self._head = ""
        self._rebuild_head()
        self.ordered = self.subscribed = -1

    def run(self) -> None:
        person, step = self._person, self._source.landing
        person.sessions += 1
        steps = 0
        while step and steps < 60:
            step = STEPS[step](self)
            if not steps:
                self._answer_banner()
            steps += 1

    def _pick_device(self) -> Device:
        devices, random = self._person.devices, self._random
        if self._person.user_id and len(devices) == 1 and random.random() < 0.2:
            devices.append(Device(random, self._person.country))
        return devices[0] if len(devices) == 1 else random.choice(devices)

    def _rebuild_head(self) -> None:
        user = self._person.user_id if self._device.signed_in else ""
        self._head = wire.browser_head(self._device.anonymous_id, user, self._started, self._context, self._device.choice)

    def _answer_banner(self) -> None:
        device, drawn = self._device, self._random.random()
        if not device.asked or (not device.choice and drawn < 0.3):
            device.asked = True
            device.choice = choose_consent(self._random, self._person.country)
        elif drawn < 0.002:
            device.choice = DENIAL if device.choice == GRANT else GRANT
        self._rebuild_head()

    def _pause(self, mu: float) -> None:
        """Reading time: log-normal, `mu` the logarithm of its median in milliseconds."""
        self.time += min(int(self._random.lognormvariate(mu, 0.9)), _PAUSE_CAP_MS)

    def _view(self, path: str, title: str, name: str) -> None:
        first = not self._page
        self._page = wire.page(
            path, self._source.utm if first else "", title, self._source.referrer if first else f"{wire.SHOP}/"
        )
        self._recorder.add(
            self.time, self._head + self._page, self._session, f'"type":"page","name":"{name}","properties":{self._page}'
        )
        self._pause(9.4)

    def _track(self, event: str, properties: str) -> None:
        call = f'"type":"track","event":"{event}","properties":{{{properties}}}'
        self._recorder.add(self.time, self._head + self._page, self._session, call)
        self._pause(8.6)

    def _call(self, call: str) -> None:
        self._recorder.add(self.time, self._head + self._page, self._session, call)
        self.time += 150

    def home(self) -> str:
        self._view("/", "Tern Coffee", "Home")
        drawn = self._random.random()
        if drawn < 0.30:
            return ""
        if drawn < 0.34:
            self._track("video_played", f'"video":"harvest","seconds":{int(self._random.expovariate(0.03)) + 1}')
        return "listing" if drawn < 0.66 else "search" if drawn < 0.78 else "product" if drawn < 0.95 else "subscription"

    def listing(self) -> str:
        random = self._random
        category = random.choice(CATEGORIES)
        self._view(f"/c/{category}", f"{category.capitalize()} - Tern Coffee", "Listing")
        self._track("product_list_viewed", f'"category":"{category}","products":{len(BY_CATEGORY[category])}')
        drawn = random.random()
        if drawn < 0.12:
            self._track("filters_applied", f'"category":"{category}","sort":"{"price" if drawn < 0.06 else "newest"}"')
        return "product" if random.random() < 0.56 else "search" if drawn > 0.92 else ""

    def search(self) -> str:
        random = self._random
        query, results = random.choice(SEARCHES), random.randrange(8)
        self._view("/search", "Search - Tern Coffee", "Search")
        self._track("products_searched", f'"query":"{query}","results":{results}')
        return "product" if results and random.random() < 0.7 else "listing" if random.random() < 0.3 else ""

    def product(self) -> str:
        random = self._random
        self._product = item = random.choices(range(len(PRODUCTS)), cum_weights=_PRODUCT_WEIGHTS)[0]
        product = PRODUCTS[item]
        self._view(f"/p/{product.slug}", f"{product.name} - Tern Coffee", "Product")
        self._track("product_viewed", f'{wire.PRODUCT_JSON[item]},"currency":"{self._person.country.currency}"')
        drawn = random.random()
        if drawn < 0.03:
            self._track("wishlist_added", wire.PRODUCT_JSON[item])
        if drawn > 0.89 - 0.08 * min(self._person.orders, 2):
            return "add"
        return "product" if drawn < 0.28 else "listing" if drawn < 0.45 else "search" if drawn < 0.49 else ""

    def add(self) -> str:
        person = self._person
        person.cart = (*person.cart, self._product)[-8:]
        self._track("product_added", f'{wire.PRODUCT_JSON[self._product]},"quantity":1,"currency":"{person.country.currency}"')
        drawn = self._random.random()
        return "cart" if drawn < 0.68 else "product" if drawn < 0.9 else ""

    def cart(self) -> str:
        self._view("/cart", "Your cart - Tern Coffee", "Cart")
        self._track("cart_viewed", f'"products":{wire.basket(self._person.cart)}')
        self._call(
            f'"type":"track","event":"experiment_viewed","properties":{{"experiment_id":"short-checkout","variant":"{self._person.variant}"}}'
        )
        return "checkout" if self._random.random() < 0.56 else ""

    def checkout(self) -> str:
        random, person = self._random, self._person
        self._view("/checkout", "Checkout - Tern Coffee", "Checkout")
        self._track("checkout_started", f'"value":{self._value() / 100:.2f},"currency":"{person.country.currency}"')
        if person.user_id or random.random() < 0.55:
            self._sign_in("checkout")
        return "order" if random.random() < (0.70 if person.variant == "B" else 0.60) else ""

    def order(self) -> str:
        random, person = self._random, self._person
        value, shipping = self._value(), 490
        discount = value // 10 if random.random() < 0.15 else 0
        coupon = f',"coupon":"{random.choice(COUPONS)}","discount":{discount / 100:.2f}' if discount else ""
        self.ordered = value + shipping - discount
        self._view("/thank-you", "Thank you - Tern Coffee", "Thank you")
        self._track(
            "order_completed",
            f'"order_id":"{self.order_id}","revenue":{self.ordered / 100:.2f},"currency":"{person.country.currency}",'
            f'"shipping":{shipping / 100:.2f}{coupon},"products":{wire.basket(person.cart)}',
        )
        person.cart = ()
        person.orders += 1
        return "subscription" if random.random() < 0.15 else ""

    def subscription(self) -> str:
        random, person = self._random, self._person
        self._view("/subscription", "Coffee by post - Tern Coffee", "Subscription")
        self._track("pricing_viewed", f'"plans":{len(PLANS)}')
        if person.plan >= 0 or random.random() > (0.25 if person.orders else 0.06):
            return ""
        self._sign_in("subscription")
        self.subscribed = person.plan = random.choices(range(len(PLANS)), weights=(60, 22, 5, 13))[0]
        plan = wire.PLAN_JSON[person.plan]
        if PLANS[person.plan].id == "office":
            self._call(f'"type":"group","groupId":"office-{person.user_id[2:8]}","traits":{{"seats":{random.randrange(5, 60)}}}')
        self._track(
            "subscription_started", f'"subscription_id":"sub-{person.user_id[2:]}",{plan},{self._money(PLANS[person.plan].price)}'
        )
        return ""

    def _sign_in(self, where: str) -> None:
        """Sign up, or sign in on a browser that does not know the person yet."""
        person, device = self._person, self._device
        if device.signed_in:
            return
        known = bool(person.user_id)
        if not known:
            person.user_id = f"u-{self._random.getrandbits(48):012x}"
        device.signed_in = True
        self._rebuild_head()
        if not known and self._random.random() < 0.15:
            self._call(f'"type":"alias","previousId":"{device.anonymous_id}"')
        traits = f'{{"email":"{person.user_id[2:]}@mail.example","newsletter":{"true" if device.choice == GRANT else "false"}}}'
        self._call(f'"type":"identify","traits":{traits}')
        self._track("signed_in" if known else "signed_up", f'"method":"email","where":"{where}"')

    def _value(self) -> int:
        return sum(PRODUCTS[item].price for item in self._person.cart)

    def _money(self, cents: int) -> str:
        return f'"revenue":{cents / 100:.2f},"currency":"{self._person.country.currency}"'


STEPS: Final[dict[str, Callable[[Visit], str]]] = {
    step.__name__: step
    for step in (
        Visit.home, Visit.listing, Visit.search, Visit.product, Visit.add, Visit.cart, Visit.checkout, Visit.order, Visit.subscription,
    )
}  # fmt: skip
