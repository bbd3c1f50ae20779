"""What a subject chose holds inside the transaction that stores, in every process, through merges and restarts."""

from contextlib import closing

import pytest

from consentryd.model.event import POSITION
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage.choice import NO_STANDING, Choice, ChoiceState, standing_of, write_choice
from consentryd.storage.database import open_database
from consentryd.storage.standing import Standings
from tests.storage.test_log import NOW, Sqlite, clean


@pytest.fixture
def store(tmp_path):
    made = Sqlite(tmp_path / "region.db")
    yield made
    made.close()


def analytics(number, **identity):
    event = clean(number, **identity)
    event.row[POSITION["purpose"]] = "analytics"
    return event


def choose(state, at=NOW, **identity):
    """A server vouches for user ids; devices speak for themselves."""
    probe = clean(0, **identity)
    choice = Choice("analytics", probe.user or probe.anonymous, state, probe.user is not None, at, 1, None)
    return lambda tx: write_choice(tx.connection, tx.index.resolve(probe.user, probe.anonymous, tx.now), choice)


async def test_nothing_is_stored_after_a_withdrawal_was_answered(store):
    assert await store.log.append([analytics(1, user="u")]) == [Outcome.STORED]
    await store.log.transact(choose(ChoiceState.WITHDRAWN, user="u"))
    assert await store.log.append([analytics(2, user="u"), analytics(3, user="v")]) == [Reason.WITHDRAWN, Outcome.STORED]


async def test_a_withdrawal_holds_for_every_identity_of_the_subject(store):
    await store.log.append([analytics(1, user="u", anonymous="a")])
    await store.log.transact(choose(ChoiceState.WITHDRAWN, anonymous="a"))
    assert await store.log.append([analytics(2, user="u")]) == [Reason.WITHDRAWN]


async def test_a_withdrawal_holds_in_another_process_and_after_a_restart(store):
    other = store.open()
    await other.append([analytics(1, user="u")])
    await store.log.transact(choose(ChoiceState.WITHDRAWN, user="u"))
    assert await other.append([analytics(2, user="u")]) == [Reason.WITHDRAWN]
    other.close()
    store.log.close()
    store.log = store.open()
    assert await store.log.append([analytics(3, user="u")]) == [Reason.WITHDRAWN]


async def test_what_was_refused_on_a_device_goes_with_it_to_its_next_user(store):
    await store.log.append([analytics(1, user="u", anonymous="a"), analytics(2, user="v")])
    await store.log.transact(choose(ChoiceState.DENIED, anonymous="a"))
    other = store.open()
    assert await other.append([clean(3, user="v", anonymous="a")]) == [Outcome.STORED]  # for no purpose that was refused
    for log in (other, store.log):
        events = [analytics(4, anonymous="a"), analytics(5, user="v", anonymous="a"), analytics(6, user="u")]
        assert await log.append(events) == [Reason.WITHDRAWN] * 3
    other.close()


@pytest.mark.parametrize(("again", "verdict"), [(NOW - 1, Outcome.STORED), (NOW + 9, Reason.WITHDRAWN)])
async def test_of_what_two_users_chose_on_a_device_the_latest_refusal_and_nobodys_grant_goes_to_the_other(store, again, verdict):
    await store.log.append([analytics(1, user="u", anonymous="a")])
    await store.log.transact(choose(ChoiceState.DENIED, at=NOW - 1, anonymous="a"))
    await store.log.append([clean(2, user="v", anonymous="a")])
    await store.log.transact(choose(ChoiceState.GRANTED, anonymous="a"))
    assert await store.log.append([analytics(3, user="v")]) == [Outcome.STORED]
    assert await store.log.append([clean(4, user="u", anonymous="a"), analytics(5, anonymous="a")]) == [
        Outcome.STORED,
        Reason.WITHDRAWN,
    ]
    await store.log.transact(choose(ChoiceState.DENIED, at=again, anonymous="a"))
    assert await store.log.append([clean(6, user="v", anonymous="a"), analytics(7, anonymous="a")]) == [Outcome.STORED, verdict]


@pytest.mark.parametrize(
    ("device_at", "verdict"), [(NOW + 1, Reason.WITHDRAWN), (NOW - 1, Outcome.STORED), (NOW, Reason.WITHDRAWN)]
)
async def test_when_subjects_merge_the_latest_choice_holds_and_a_tie_refuses(store, device_at, verdict):
    await store.log.transact(choose(ChoiceState.GRANTED, user="u"))
    await store.log.transact(choose(ChoiceState.WITHDRAWN, at=device_at, anonymous="a"))
    assert await store.log.append([analytics(1, user="u", anonymous="a")]) == [verdict]


@pytest.mark.parametrize("state", [ChoiceState.GRANTED, ChoiceState.WITHDRAWN])
async def test_what_a_device_brings_into_a_merge_counts_for_the_person_at_once(store, state):
    """Also where it was remembered how the person stood before."""
    user = clean(0, user="u").user
    await store.log.append([analytics(1, user="u")])
    vouched = Choice("analytics", clean(0, anonymous="a").anonymous, state, True, NOW, 1, None)
    await store.log.transact(lambda tx: write_choice(tx.connection, tx.index.resolve(None, vouched.digest, tx.now), vouched))
    reader = open_database(store.path, "region", readonly=True)
    with closing(reader):
        standings = Standings(reader)
        standings.look()
        assert standings.of(user, None) == NO_STANDING
        await store.log.append([analytics(2, user="u", anonymous="a")])
        standings.look()
        assert standings.of(user, None) == standing_of([vouched])


async def test_a_suppressed_identity_is_refused_until_its_time(store):
    digest = clean(0, user="u").user
    await store.log.transact(
        lambda tx: tx.connection.execute("INSERT INTO suppression VALUES (?, ?, ?)", (digest, NOW + 10, NOW))
    )
    assert await store.log.append([analytics(1, user="u")]) == [Reason.SUPPRESSED]
    store.clock.advance(10)
    assert await store.log.append([analytics(1, user="u")]) == [Outcome.STORED]


async def test_work_that_fails_is_undone_alone(store):
    def work(tx):
        choose(ChoiceState.WITHDRAWN, user="u" * 16)(tx)
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        await store.log.transact(work)
    assert await store.log.append([analytics(1, user="u" * 16)]) == [Outcome.STORED]
