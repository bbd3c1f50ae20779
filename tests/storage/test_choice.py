"""What a subject chose holds inside the transaction that stores, in every process, through merges and restarts."""

from contextlib import closing
from itertools import permutations

import pytest

from consentryd.model.event import POSITION
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage.choice import NO_STANDING, Choice, Choices, ChoiceState, read_choices, standing_of, write_choice
from consentryd.storage.database import open_database
from consentryd.storage.standing import Standings
from consentryd.storage.withdrawal import note_refusal
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


GRANTED, DENIED, WITHDRAWN = ChoiceState
DEVICE, PHONE, USER, MAIL = b"device", b"phone", b"user", b"mail"


def chosen(digest, state, at, purpose="analytics"):
    """Of a user's ids a server speaks, of devices they themselves."""
    return Choice(purpose, digest, state, digest in (USER, MAIL), at, at, None)


@pytest.mark.parametrize(
    ("choices", "refused", "granted"),
    [
        ([], False, []),
        ([(DEVICE, GRANTED, 1)], False, [DEVICE]),
        ([(USER, GRANTED, 1)], False, [None]),
        ([(DEVICE, DENIED, 1)], True, []),
        ([(USER, WITHDRAWN, 1)], True, []),
        ([(DEVICE, DENIED, 1), (PHONE, GRANTED, 2)], True, []),
        ([(DEVICE, DENIED, 1), (USER, GRANTED, 2)], False, [None]),
        ([(DEVICE, DENIED, 2), (USER, GRANTED, 2)], True, []),
        ([(DEVICE, DENIED, 3), (USER, GRANTED, 2)], True, []),
        ([(USER, GRANTED, 1), (DEVICE, DENIED, 2), (MAIL, GRANTED, 3)], False, [None, None]),
        ([(USER, GRANTED, 1), (DEVICE, DENIED, 4), (MAIL, GRANTED, 3)], True, []),
        ([(DEVICE, DENIED, 1), (PHONE, WITHDRAWN, 3), (USER, GRANTED, 2)], True, []),
        ([(DEVICE, GRANTED, 1), (USER, GRANTED, 3), (PHONE, GRANTED, 2)], False, [None, PHONE, DEVICE]),
    ],
)
def test_a_refusal_stands_until_a_server_vouches_for_a_later_grant_in_whatever_order_they_are_read(choices, refused, granted):
    other = chosen(PHONE, DENIED if not refused else GRANTED, 9, "marketing")
    for order in permutations([other, *(chosen(*choice) for choice in choices)]):
        standing = standing_of(order)
        assert standing.refused == {"analytics" if refused else "marketing"}
        found = [grant for grant in standing.granted if grant.purpose == "analytics"]
        assert [grant.digest for grant in found] == granted
        assert [grant.at for grant in found] == sorted((grant.at for grant in found), reverse=True)
        assert ("marketing" in {grant.purpose for grant in standing.granted}) == refused
    assert standing_of([]) == NO_STANDING


@pytest.mark.parametrize(
    ("loser", "winner", "left"),
    [
        ((GRANTED, 2), (GRANTED, 1), (GRANTED, 2)),
        ((GRANTED, 1), (GRANTED, 2), (GRANTED, 2)),
        ((WITHDRAWN, 1), (GRANTED, 2), (WITHDRAWN, 1)),
        ((GRANTED, 2), (DENIED, 1), (DENIED, 1)),
    ],
)
def test_of_one_identitys_two_choices_a_merge_keeps_the_refusal_and_then_the_newer(store, loser, winner, left):
    with closing(open_database(store.path, "region")) as connection:
        write_choice(connection, 1, chosen(DEVICE, *loser))
        write_choice(connection, 2, chosen(DEVICE, *winner))
        Choices(connection).merge(1, 2, NOW)
        assert read_choices(connection, 1) == []
        assert [(each.state, each.decided_at) for each in read_choices(connection, 2)] == [left]


@pytest.mark.parametrize(
    ("loser", "winner", "waits"),
    [
        (GRANTED, GRANTED, {}),
        (WITHDRAWN, GRANTED, {"analytics": NOW}),
        (GRANTED, DENIED, {"analytics": NOW}),
        (DENIED, WITHDRAWN, {}),
        (None, DENIED, {"analytics": NOW}),
    ],
)
def test_what_one_refused_goes_of_the_other_too_after_a_merge_and_what_waits_goes_with_the_winner(store, loser, winner, waits):
    with closing(open_database(store.path, "region")) as connection:
        connection.execute("INSERT INTO choice_proof (entry, subject, nonce) VALUES (7, 1, x'00')")
        for subject, purpose, until in ((1, "ads", 5), (2, "ads", 3), (1, "maps", 4), (2, "mail", 6)):
            note_refusal(connection, subject, purpose, until)
        for subject, digest, state in ((1, DEVICE, loser), (2, PHONE, winner)):
            if state is not None:
                write_choice(connection, subject, chosen(digest, state, subject))
        Choices(connection).merge(1, 2, NOW)
        waiting = connection.execute("SELECT subject, purpose, until FROM withdrawal").fetchall()
        assert {subject for subject, *_ in waiting} == {2}
        assert {purpose: until for _, purpose, until in waiting} == {"ads": 5, "maps": 4, "mail": 6, **waits}
        assert connection.execute("SELECT subject FROM choice_proof").fetchall() == [(2,)]


def test_a_merge_is_seen_at_once_where_the_winners_standing_was_remembered(store):
    with closing(open_database(store.path, "region")) as connection:
        write_choice(connection, 2, chosen(USER, GRANTED, 1))
        write_choice(connection, 1, chosen(DEVICE, DENIED, 2))
        choices = Choices(connection)
        assert choices.refusal(2, "analytics") is None
        choices.merge(1, 2, NOW)
        assert choices.refusal(2, "analytics") is Reason.WITHDRAWN


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
