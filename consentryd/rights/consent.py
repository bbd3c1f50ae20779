"""What data subjects choose: recorded in their region's ledger, in force at once in every process, answered with a receipt."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from consentryd.config.settings import Settings
from consentryd.consent.jurisdiction import Jurisdiction
from consentryd.consent.policy import Policy
from consentryd.consent.receipt import Proof, issue, principal
from consentryd.model.clock import DAY, Clock
from consentryd.model.error import Conflict
from consentryd.model.identity import Identity, IdentityKind
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.rights.terms import terms_of
from consentryd.storage.choice import Choice, ChoiceState, Grant, read_choices, standing_of, write_choice
from consentryd.storage.ledger import Entry, EntryKind, Ledger, iso
from consentryd.storage.region import RegionStore
from consentryd.storage.signing import Signer
from consentryd.storage.statistic import count_choice
from consentryd.storage.withdrawal import let_stand, note_refusal
from consentryd.storage.writer import Transaction

NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Statement:
    """One call: these identities of a site choose these states, per purpose. `notice` is version and SHA-256 of the text shown.

    `by` is `visitor` (a browser with a write key, who speaks as an anonymous id) or `server` (the site, who vouches for the person).
    """

    site: str
    by: Literal["visitor", "server"]
    identities: tuple[Identity, ...]
    choices: Mapping[str, ChoiceState]
    notice: tuple[str | None, str | None] = (None, None)
    language: str | None = None
    country: str | None = None
    subdivision: str | None = None
    device: str | None = None


class ConsentDesk:
    """One for a process. `stores` and `pseudonyms` are of the regions it serves. `nonce` gives 32 random bytes."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        stores: Mapping[str, RegionStore],
        pseudonyms: Mapping[str, Pseudonymiser],
        clock: Clock,
        nonce: Callable[[], bytes] = lambda: secrets.token_bytes(NONCE_BYTES),
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._stores = stores
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._nonce = nonce

    async def record(self, region: str, statement: Statement) -> dict[str, Any]:
        """The receipt and what is in force now; once durable. Raises `Unavailable`: not everything was kept, say it
        again; `Conflict` for people who are suppressed.

        A refusal also binds every other region that knows one of the identities, and a grant lifts what was refused there: they are on
        record there too (`also`).
        """
        # first at home: a region that comes to know the person after that is none where their events go
        told = await self._record_in(region, statement)
        others = ((name, self._of_other(name, statement)) for name in self._stores if name != region)
        also = [await self._record_in(name, replace(statement, choices=choices)) for name, choices in others if choices]
        return {**told, "also": also}

    def _of_other(self, region: str, statement: Statement) -> dict[str, ChoiceState]:
        """What of a statement concerns another region than the person's own: refusals, and the grants of what is refused there."""
        standings = self._stores[region].standings
        subjects = {standings.subject(digest) for digest in self._digests(region, statement).values()} - {None}
        if not subjects:
            return {}
        refused = standing_of(
            choice for subject in subjects if subject is not None for choice in standings.choices(subject)
        ).refused
        return {
            purpose: state
            for purpose, state in statement.choices.items()
            if state is not ChoiceState.GRANTED or purpose in refused
        }

    async def _record_in(self, region: str, statement: Statement) -> dict[str, Any]:
        store = self._stores[region]
        signer = store.signing.signer()
        country = statement.country or self._settings.site_of(statement.site).country
        place = self._policy.place(country, statement.subdivision, self._clock.now())
        return await store.log.transact(lambda transaction: self._record(transaction, region, statement, place, signer))

    def state(self, site: str, identities: tuple[Identity, ...], *, whole: bool) -> list[dict[str, Any]]:
        """What is on record, per region served. `whole`: of the subject; else only what these very identities said.

        With the whole come the nonces of the subject's ledger entries: with one of them an entry is shown to be about an identifier.
        """
        found = []
        for region, store in self._stores.items():
            digests = {self._pseudonyms[region].identity(site, *identity) for identity in identities}
            subjects = {subject for digest in digests if (subject := store.standings.subject(digest)) is not None}
            choices = [choice for subject in sorted(subjects) for choice in store.standings.choices(subject)]
            told = [choice for choice in choices if whole or choice.digest in digests]
            if told:
                account = self._told(region, told, store.signing.signer().origin)
                if whole:
                    account["proofs"] = [
                        {"entry": entry, "nonce": nonce.hex()} for entry, nonce in store.standings.proofs(subjects)
                    ]
                found.append(account)
        return found

    def _told(self, region: str, choices: list[Choice], origin: str) -> dict[str, Any]:
        standing = standing_of(choices)
        granted = {grant.purpose for grant in standing.granted if self._counts(grant)}
        return {
            "region": region,
            "in_force": {
                name: "refused" if name in standing.refused else "granted" for name in sorted(standing.refused | granted)
            },
            "choices": [
                {
                    "purpose": choice.purpose,
                    "state": choice.state,
                    "by": "server" if choice.vouched else "visitor",
                    "decided_at": iso(choice.decided_at),
                    "expires_at": iso(choice.decided_at + self._settings.consent.max_age_days * DAY)
                    if choice.state is ChoiceState.GRANTED
                    else None,
                    "notice": choice.notice,
                    "record_id": f"{origin}/{choice.entry}",
                }
                for choice in choices
            ],
        }

    def _counts(self, grant: Grant) -> bool:
        """Whether a stored grant still lets events in: it is fresh, and under a notice in force."""
        consent = self._settings.consent
        fresh = self._clock.now() - grant.at <= consent.max_age_days * DAY
        return fresh and (not consent.notices or grant.notice in consent.notices)

    def _record(
        self, transaction: Transaction, region: str, statement: Statement, place: Jurisdiction, signer: Signer
    ) -> dict[str, Any]:
        """The work of one commit: entry, choices, waiting erasures, statistics, checkpoint."""
        connection, now = transaction.connection, transaction.now
        digests = self._digests(region, statement)
        if _is_kept_out(transaction, digests):
            left = _left_to(transaction, statement, digests)
            if not left:
                raise Conflict("suppressed", "This person is suppressed: nothing is stored of them, also no choice.")
            statement = replace(statement, choices=left)
        ledger, known = Ledger(connection), _repeated(transaction, statement, digests)
        if known is None:
            nonce = self._nonce()
            entry = ledger.append(now, EntryKind.CONSENT, self._facts(statement, place, nonce))
            subject = self._write(transaction, statement, digests, entry)
            connection.execute(
                "INSERT INTO choice_proof (entry, subject, nonce) VALUES (?, ?, ?)", (entry.number, subject, nonce)
            )
        else:
            entry, subject, nonce = known
        checkpoint = ledger.checkpoint(signer)
        ledger.keep_checkpoint(checkpoint, now)
        proof = Proof(checkpoint, ledger.inclusion(entry.number, ledger.size))
        standing = standing_of(read_choices(connection, subject))
        return {
            "region": region,
            "in_force": {name: "refused" if name in standing.refused else "granted" for name in sorted(statement.choices)},
            "receipt": issue(entry, nonce, proof, terms_of(self._settings, self._policy, region, statement.site), signer),
        }

    def _facts(self, statement: Statement, place: Jurisdiction, nonce: bytes) -> dict[str, Any]:
        """The ledger's entry: nothing in it tells who it is about."""
        version, text_hash = statement.notice
        return {
            "site": statement.site,
            "by": statement.by,
            "principals": [principal(nonce, statement.site, *identity) for identity in statement.identities],
            "choices": {purpose: state.value for purpose, state in statement.choices.items()},
            "notice": None if version is None and text_hash is None else {"version": version, "sha256": text_hash},
            "language": statement.language,
            "jurisdiction": place.name,
            "regime": place.regime,
            "policy": self._policy.version,
        }

    def _digests(self, region: str, statement: Statement) -> dict[IdentityKind, bytes]:
        identity = self._pseudonyms[region].identity
        return {each.kind: identity(statement.site, *each) for each in statement.identities}

    def _write(self, transaction: Transaction, statement: Statement, digests: Mapping[IdentityKind, bytes], entry: Entry) -> int:
        connection, now = transaction.connection, transaction.now
        named = digests.get(IdentityKind.USER_ID), digests.get(IdentityKind.ANONYMOUS_ID)
        # none of people of whom nothing was ever stored, as most who refuse are
        known = transaction.index.joining(*named)
        before = [standing_of(read_choices(connection, each)).refused for each in known]
        if len(known) > 1:  # said before they become one: a refusal that a grant lifts is not to reach the others' events
            for each in known:
                _say(connection, each, statement, digests.values(), now, entry)
        subject = transaction.index.resolve(*named, now)
        _say(connection, subject, statement, digests.values(), now, entry)
        after = standing_of(read_choices(connection, subject)).refused
        for purpose, state in statement.choices.items():
            count_choice(connection, iso(now)[:10], statement.site, purpose, state.value, _traits(statement))
            if purpose in after and not all(purpose in refused for refused in before):
                note_refusal(connection, subject, purpose, now)
            elif purpose not in after and any(purpose in refused for refused in before):
                let_stand(connection, subject, purpose, keeps=self._keeps(purpose))
        return subject

    def _keeps(self, purpose: str) -> bool:
        return self._policy.purposes.by_name[purpose].on_withdrawal == "keep"


def _speaking(digests: Mapping[IdentityKind, bytes]) -> bytes:
    """The identity that a choice is made as: a user id, if there is one, speaks for the device."""
    return digests.get(IdentityKind.USER_ID) or digests[IdentityKind.ANONYMOUS_ID]


def _left_to(transaction: Transaction, statement: Statement, digests: Mapping[IdentityKind, bytes]) -> dict[str, ChoiceState]:
    """What somebody may choose whom nothing more is stored of: refusals, as long as their erasure waits, for it may be taken back."""
    if transaction.index.subject_of(_speaking(digests)) is None:
        return {}
    return {purpose: state for purpose, state in statement.choices.items() if state is not ChoiceState.GRANTED}


def _is_kept_out(transaction: Transaction, digests: Mapping[IdentityKind, bytes]) -> bool:
    """Whether nothing is stored of the person who chooses. A user id speaks for itself, and for the device that it was last seen on: who
    is let in on the device of an erased person may refuse there.
    """
    is_suppressed, now = transaction.choices.is_suppressed, transaction.now
    speaking = _speaking(digests)
    if not is_suppressed(speaking, now):
        return False
    subject = None if IdentityKind.USER_ID in digests else transaction.index.subject_of(speaking)
    rows = transaction.connection.execute("SELECT digest FROM identity WHERE subject = ? AND known", (subject,))
    return all(is_suppressed(digest, now) for (digest,) in rows)


def _say(
    connection: sqlite3.Connection, subject: int, statement: Statement, digests: Iterable[bytes], now: int, entry: Entry
) -> None:
    """Every identity chose this, each for itself."""
    for digest in digests:
        for purpose, state in statement.choices.items():
            choice = Choice(purpose, digest, state, statement.by == "server", now, entry.number, statement.notice[0])
            write_choice(connection, subject, choice)


def _repeated(
    transaction: Transaction, statement: Statement, digests: Mapping[IdentityKind, bytes]
) -> tuple[Entry, int, bytes] | None:
    """Entry, subject and nonce of the same statement made within a day and still in force: who repeats themself adds nothing."""
    subjects = {transaction.index.subject_of(digest) for digest in digests.values()}
    subject = subjects.pop()
    if subject is None or subjects:
        return None
    choices = read_choices(transaction.connection, subject)
    refused = standing_of(choices).refused
    on_record = {(choice.purpose, choice.digest): choice for choice in choices}
    entries = set()
    for purpose, state in statement.choices.items():
        in_force = (purpose in refused) == (state is not ChoiceState.GRANTED)
        for digest in digests.values():
            choice = on_record.get((purpose, digest))
            said = None if choice is None else (choice.state, choice.vouched, choice.notice)
            if choice is None or not in_force or said != (state, statement.by == "server", statement.notice[0]):
                return None
            entries.add(choice.entry if transaction.now - choice.decided_at < DAY else None)
    number = entries.pop() if len(entries) == 1 else None
    if number is None:
        return None
    proof = transaction.connection.execute("SELECT nonce FROM choice_proof WHERE entry = ?", (number,)).fetchone()
    entry = Ledger(transaction.connection).entry(number)
    return None if proof is None or entry is None or _says_more(entry, statement) else (entry, subject, proof[0])


def _says_more(entry: Entry, statement: Statement) -> bool:
    """Whether the entry is about other purposes, another text or language, or other identities than the statement."""
    body = json.loads(entry.body)
    told_hash = (body["notice"] or {}).get("sha256")
    return bool(
        set(body["choices"]) != set(statement.choices)
        or (told_hash, body["language"]) != (statement.notice[1], statement.language)
        or len(body["principals"]) != len(statement.identities)
    )


def _traits(statement: Statement) -> tuple[str, str, str, str]:
    """Country, device, notice and source, for the statistics."""
    return statement.country or "", statement.device or "", statement.notice[0] or "", statement.by
