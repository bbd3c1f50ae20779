"""What the shop sells. Prices are in cents, the same number in every currency."""

from __future__ import annotations

from typing import Final, NamedTuple


class Product(NamedTuple):
    id: str
    name: str
    category: str
    price: int
    slug: str


class Plan(NamedTuple):
    """A coffee subscription: `price` cents every `months`."""

    id: str
    price: int
    months: int


_ROWS: Final = (
    ("coffee", "Harbour Blend", 1190),
    ("coffee", "Lighthouse Espresso", 1290),
    ("coffee", "Foghorn Dark Roast", 1090),
    ("coffee", "Kochere Natural", 1690),
    ("coffee", "Huila Washed", 1490),
    ("coffee", "Decaf Low Tide", 1390),
    ("grinder", "Pebble Hand Grinder", 8900),
    ("grinder", "Quarry Electric Grinder", 24900),
    ("grinder", "Spare Burr Set", 3900),
    ("brewer", "Gull Dripper", 2400),
    ("brewer", "Anchor French Press", 4200),
    ("brewer", "Moka Pot for Three", 3200),
    ("brewer", "Breakwater Espresso Machine", 64900),
    ("cup", "Enamel Mug", 1400),
    ("cup", "Stoneware Cup", 1900),
    ("cup", "Travel Cup", 2900),
    ("accessory", "Paper Filters, 100", 650),
    ("accessory", "Pocket Scale", 3500),
    ("accessory", "Milk Jug", 2200),
    ("accessory", "Gift Card", 5000),
)

PRODUCTS: Final = tuple(
    Product(f"sku-{number:03d}", name, category, price, name.lower().replace(",", "").replace(" ", "-"))
    for number, (category, name, price) in enumerate(_ROWS, start=101)
)
CATEGORIES: Final = tuple(dict.fromkeys(product.category for product in PRODUCTS))
BY_CATEGORY: Final = {category: tuple(p for p in PRODUCTS if p.category == category) for category in CATEGORIES}
PLANS: Final = (Plan("one-bag", 1190, 1), Plan("two-bags", 2190, 1), Plan("office", 7900, 1), Plan("one-bag-yearly", 12900, 12))
SEARCHES: Final = (
    "espresso",
    "decaf",
    "grinder",
    "filter",
    "french press",
    "gift",
    "mug",
    "milk frother",
    "scale",
    "oat milk",
    "ethiopia",
)
COUPONS: Final = ("WELCOME10", "HARBOUR5", "SPRING15")
