"""The doorkeeper: from what a request shows of its sender to a visitor who may do what was asked, or a refusal."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from pypim.core.access import Action, Decision, Rules, Scope, Visitor
from pypim.core.access_errors import CredentialsNeeded, NotPermitted, WrongCredentials
from pypim.core.audit import AuditEntry
from pypim.core.errors import PypimError, StoreFault
from pypim.core.hosted import upload_time
from pypim.core.tokens import is_same_secret, split_token
from pypim.web.credentials import Password, ShownToken, Unreadable, read_credentials
from pypim.web.failures import Failures, is_loopback
from pypim.web.passwords import PasswordCheck

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from packaging.utils import NormalizedName

    from pypim.ports import Accounts, Audit, Background, Clock
    from pypim.web.credentials import Credentials

ANONYMOUS = Visitor(name="anonymous", scope=Scope(actions=frozenset({Action.READ})))
LOOPBACK = Visitor(name="loopback", scope=Scope(actions=frozenset(Action)))
USE_SECONDS = 60.0
"""The last use of a token is written at most that often."""
_MOST_NOTED = 10_000
_FROM_ELSEWHERE = frozenset({"forwarded", "via", "origin", "x-real-ip", "x-client-ip", "cf-connecting-ip"})
"""Headers that no client on the machine itself sends: a proxy does, or a browser on behalf of another site."""
_PASSED_ON = "x-forwarded-"
"""How all other such headers begin."""
_OTHER_SITES = frozenset({"cross-site", "same-site"})
"""What a browser says of a request that a page of another site made, also where it sends no Origin (Sec-Fetch-Site)."""

_log = logging.getLogger("pypim.server")


class Doorkeeper:
    """Knows the rules and the accounts. Accounts are looked up for each request: what is revoked is so at once."""

    def __init__(
        self,
        rules: Rules,
        accounts: Accounts,
        written: Accounts,
        background: Background,
        clock: Clock,
        audit: Audit | None = None,
    ) -> None:
        """`accounts` are read on the event loop; `written` are the same ones, for `background` to write."""
        self.rules = rules
        self.failures = Failures(rules.failures_per_minute, self._now)
        self._audit = audit
        self._accounts = accounts
        self._written = written
        self._background = background
        self._clock = clock
        self._passwords = PasswordCheck(self._now)
        self._noted: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    def is_open(self, index: str) -> bool:
        """Whether anyone may read the index."""
        return index in self.rules.open_indexes

    async def admit(
        self, headers: Mapping[str, str], peer: str, action: Action, index: str, project: NormalizedName | None
    ) -> Visitor:
        """Who sends this request, where they may do what it asks; header names in lower case.

        `project` is None for the list of all, or while it is not known; then ask `permit` once it is. Raises
        CredentialsNeeded (401), WrongCredentials or NotPermitted (403), TooManyAttempts (429). Wrong credentials are
        never taken for none, save on an index that anyone may read.
        """
        if action is Action.READ and self.is_open(index):
            return ANONYMOUS
        visitor = None
        try:
            visitor = await self._visitor(headers, peer, action, index)
            return self.permit(visitor, action, index, project)
        except (CredentialsNeeded, NotPermitted) as refusal:
            if action is Action.READ and (visitor is not None or "authorization" in headers):
                name = visitor.name if visitor is not None else ""
                self._later(self.tell(refusal, name, peer, action.value, index, project or ""))
            raise

    def permit(self, visitor: Visitor | None, action: Action, index: str, project: NormalizedName | None) -> Visitor:
        """The visitor, who may do this as well. Raises CredentialsNeeded or NotPermitted."""
        match self.rules.decide(visitor, action, index, project):
            case Decision.ALLOWED:
                return visitor or ANONYMOUS
            case Decision.CREDENTIALS_NEEDED:
                raise CredentialsNeeded(index)
            case Decision.NOT_PERMITTED:
                assert visitor is not None
                raise NotPermitted(visitor.name, action.value, index, project)

    async def _visitor(self, headers: Mapping[str, str], peer: str, action: Action, index: str) -> Visitor | None:
        """Who sends the request; None where nothing says so. Raises CredentialsNeeded or WrongCredentials."""
        credentials = read_credentials(headers.get("authorization"))
        visitor = self._fresh_loopback(headers, peer, action, credentials)
        if visitor is None and credentials is not None:
            visitor = await self._recognise(credentials, peer)
            if visitor is None:
                self.failures.count(peer)
                _log.warning("wrong credentials from %s for %s on %s", peer or "a socket", action, index)
                raise CredentialsNeeded(index, is_wrong=True) if action is Action.READ else WrongCredentials(index)
        return visitor

    async def tell(
        self, outcome: PypimError | str, visitor: str, peer: str, action: str, index: str, project: str = ""
    ) -> None:
        """Tell the audit log of a refusal, or of what was done, in a sentence. Raises StoreFault."""
        if self._audit is None:
            return
        entry = AuditEntry(
            time=upload_time(self._now()),
            visitor=visitor,
            action=action,
            index=index,
            project=project,
            outcome=outcome.code if isinstance(outcome, PypimError) else "done",
            reason=outcome.message if isinstance(outcome, PypimError) else outcome,
            peer=peer,
        )
        await self._background.run(partial(self._audit.append, entry))

    async def _recognise(self, credentials: Credentials, peer: str) -> Visitor | None:
        """Whose credentials these are. A right token counts also where too many failures came from: nobody guesses it.

        Raises TooManyAttempts.
        """
        match credentials:
            case ShownToken(text):
                visitor = self._visitor_with(text)
            case Password(user, password):
                visitor = await self._visitor_named(user, password, peer)
            case Unreadable():
                visitor = None
        if visitor is None:
            self.failures.check(peer)
        return visitor

    def _visitor_with(self, text: str) -> Visitor | None:
        parts = split_token(text)
        token = self._accounts.token(parts[0]) if parts else None
        now = self._now()
        if parts is None or token is None or not is_same_secret(token.secret_sha256, parts[1]):
            return None
        if not token.is_valid(now):
            return None
        self._note_use(token.id, now)
        return Visitor(
            name=token.user or token.label or f"token {token.id}",
            user=token.user,
            names=frozenset() if token.user is None else self.rules.names_of(token.user),
            token=token.id,
            scope=token.scope,
        )

    async def _visitor_named(self, user: str, password: str, peer: str) -> Visitor | None:
        known = self._accounts.user(user)
        known_hash = None if known is None else known.password_hash
        if not self._passwords.is_known(known_hash, user, password):
            self.failures.check(peer)
        if not await self._passwords.is_right(known_hash, user, password):
            return None
        return Visitor(name=user, user=user, names=self.rules.names_of(user))

    def _fresh_loopback(
        self, headers: Mapping[str, str], peer: str, action: Action, credentials: Credentials | None
    ) -> Visitor | None:
        """Somebody on this machine who writes while there are no accounts, where the configuration lets them.

        Clients that must send something, as twine does, may send any password: there is none that could be right.
        """
        if not self.rules.is_open_on_loopback or action is Action.READ or not is_loopback(peer):
            return None
        if isinstance(credentials, ShownToken | Unreadable) or _is_from_elsewhere(headers):
            return None
        return LOOPBACK if self._accounts.is_empty() else None

    def _note_use(self, token_id: str, now: float) -> None:
        if now - self._noted.get(token_id, 0.0) < USE_SECONDS:
            return
        while len(self._noted) >= _MOST_NOTED:
            del self._noted[next(iter(self._noted))]
        self._noted[token_id] = now
        self._later(self._background.run(partial(self._written.note_use, token_id, now)))

    def _later(self, note: Coroutine[object, object, None]) -> None:
        """The request does not wait for what is noted so, and does not fail with it."""
        task = asyncio.get_running_loop().create_task(_noted(note))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def settle(self) -> None:
        """Wait for what is still to be written, before the store is closed."""
        await asyncio.gather(*self._notes)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    return headers.get("sec-fetch-site") in _OTHER_SITES or any(
        name in _FROM_ELSEWHERE or name.startswith(_PASSED_ON) for name in map(str.lower, headers)
    )


async def _noted(note: Coroutine[object, object, None]) -> None:
    try:
        await note
    except StoreFault as fault:
        _log.warning("not recorded: %s", fault)
