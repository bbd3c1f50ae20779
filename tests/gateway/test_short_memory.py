"""Raw identifiers are remembered for minutes, in memory only."""

import gc
from secrets import token_hex
from types import FunctionType, ModuleType

from consentryd.gateway.short_memory import ShortMemory
from consentryd.gateway.stages.person import Persons
from consentryd.gateway.stages.place import Place
from consentryd.model.identity import IdentityKind
from consentryd.privacy.pseudonym import Pseudonymiser
from tests.house import open_house
from tests.stages.test_place import REGIONS, Home, Homes, event, passage


def dictionaries_with(marker):
    keys = [key for found in gc.get_objects() if type(found) is dict for key in list(found) if type(key) is tuple]
    return [key for key in keys if marker in key]


def test_digests_made_of_a_person_are_forgotten_and_made_again_alike():
    pseudonyms = Pseudonymiser(b"i" * 32, b"d" * 32)
    marker = "person-to-be-forgotten"
    before = pseudonyms.identity("shop", IdentityKind.ANONYMOUS_ID, marker), pseudonyms.session("shop", marker)
    assert len(dictionaries_with(marker)) == 2
    ShortMemory([pseudonyms]).forget()
    assert dictionaries_with(marker) == []
    assert (pseudonyms.identity("shop", IdentityKind.ANONYMOUS_ID, marker), pseudonyms.session("shop", marker)) == before


def test_the_place_of_a_person_is_asked_for_again():
    home = Home("a")
    place = Place(REGIONS, Homes({"eu": home, "us": home}), Persons(200))
    place.put_regions([event("DE")], passage())
    asked = home.asked
    place.put_regions([event("DE")], passage())
    assert home.asked == asked
    ShortMemory([place]).forget()
    place.put_regions([event("DE")], passage())
    assert home.asked > asked


def texts_held_by(root):
    """Every text that can be reached from an object without going through the program itself."""
    seen, waiting, texts = set(), [root], []
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, (ModuleType, type)):
            continue
        seen.add(id(found))
        if isinstance(found, (str, bytes)):
            texts.append(found if isinstance(found, str) else found.decode(errors="ignore"))
        elif isinstance(found, dict):  # whose keys the collector does not tell when all are texts
            waiting += found
        waiting += (found.__closure__ or ()) if isinstance(found, FunctionType) else gc.get_referents(found)
    return texts


async def test_addresses_user_agents_and_urls_are_remembered_by_their_hash_only(tmp_path):
    token = token_hex(4)
    letters = token.translate({ord("0") + digit: ord("k") + digit for digit in range(10)})
    agent, secret, word = f"Mozilla/5.0 (X11; Linux x86_64) Firefox/{token}", f"path{letters}", f"word{letters}"
    address = f"192.0.2.{letters.encode()[0]}"
    event = {
        "event": "seen",
        "properties": {"colour": word, "url": f"https://shop.example/goods?q={secret}#{secret}"},
        "context": {"ip": address, "userAgent": agent, "page": {"url": f"https://shop.example/goods?q={secret}"}},
    }
    async with open_house(tmp_path) as gateway:
        assert await gateway.track(**event, key="server", consent={"analytics": True}, anonymousId="a") == "stored"
        texts = texts_held_by(gateway.house)
    assert any(word in text for text in texts)
    assert [text for text in texts if any(marker in text for marker in (address, agent, secret))] == []
