"""Raw identifiers are remembered for minutes, in memory only."""

import gc

from consentryd.gateway.short_memory import ShortMemory
from consentryd.gateway.stages.place import Place
from consentryd.model.identity import IdentityKind
from consentryd.privacy.pseudonym import Pseudonymiser
from tests.stages.test_place import REGIONS, Home, event, passage


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
    home = Home()
    place = Place(REGIONS, {"eu": home, "us": home})
    place.put_region(event("DE"), passage())
    asked = home.asked
    place.put_region(event("DE"), passage())
    assert home.asked == asked
    ShortMemory([place]).forget()
    place.put_region(event("DE"), passage())
    assert home.asked > asked
