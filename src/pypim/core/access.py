"""Who may do what: rights of users and scopes of tokens as values, and the decision that follows from them.

How somebody proved who they are is decided before; a visitor who proved nothing is None.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidRequirement
from pypim.core.patterns import parse_project_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

EVERY = "*"
ANYONE = "anyone"
AUTHENTICATED = "authenticated"
RESERVED_NAMES = frozenset({ANYONE, AUTHENTICATED, "nobody", "anonymous", "loopback", "__token__", "token"})
"""What no user and no group is called, for it means something else."""


class Action(StrEnum):
    """What can be done with a project of an index."""

    READ = "read"
    UPLOAD = "upload"
    YANK = "yank"
    DELETE = "delete"
    ADMIN = "admin"
    """All of the others, and what changes the index itself."""


class Decision(Enum):
    """What becomes of a request."""

    ALLOWED = "allowed"
    CREDENTIALS_NEEDED = "credentials-needed"
    """Nobody said who they are, and it matters (HTTP 401)."""
    NOT_PERMITTED = "not-permitted"
    """It is known who they are, and they may not (HTTP 403)."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Some actions on some projects of some indexes."""

    indexes: tuple[str, ...] = (EVERY,)
    """Names; "*" is every index."""
    projects: tuple[str, ...] = (EVERY,)
    """Names and globs, which match normalised (PEP 503)."""
    actions: frozenset[Action]

    def concerns(self, action: Action, index: str) -> bool:
        """Whether it is about that action on any project of that index."""
        is_about_action = action in self.actions or Action.ADMIN in self.actions
        return is_about_action and (EVERY in self.indexes or index in self.indexes)

    def names(self, action: Action, index: str) -> bool:
        """The same, where it says so itself: who administers may all, and keeps nothing from others by that."""
        return action in self.actions and (EVERY in self.indexes or index in self.indexes)

    def covers(self, action: Action, index: str, project: NormalizedName | None) -> bool:
        """Whether it holds for a project; None stands for one that is not known yet, or for the list of all."""
        if not self.concerns(action, index):
            return False
        return project is None or any(_project_glob(text).fullmatch(project) for text in self.projects)


def scope_of(indexes: Iterable[str], projects: Iterable[str], actions: Iterable[str], where: str) -> Scope:
    """A scope from words of people; nothing said of indexes or projects means all. Raises InvalidRequirement."""
    patterns = tuple(projects)
    for text in patterns:
        if parse_project_pattern(text, where).specifier is not None:
            raise InvalidRequirement(where, text, "access is given to projects, not to releases", hint="Leave it out.")
    known = {action.value: action for action in Action}
    wanted = list(actions)
    if unknown := [word for word in wanted if word not in known]:
        raise InvalidRequirement(where, unknown[0], "this is no action", hint=f"Choose from {', '.join(known)}.")
    return Scope(
        indexes=tuple(indexes) or (EVERY,),
        projects=patterns or (EVERY,),
        actions=frozenset(known[word] for word in wanted),
    )


@lru_cache(maxsize=4096)
def _project_glob(text: str) -> re.Pattern[str]:
    return parse_project_pattern(text, "projects").name


def _is_whole(scope: Scope) -> bool:
    return Action.ADMIN in scope.actions and EVERY in scope.indexes and EVERY in scope.projects


class Right(msgspec.Struct, frozen=True):
    """What the configuration gives to users, groups, "authenticated" (every user) or "anyone" (reading only)."""

    who: tuple[str, ...]
    scope: Scope


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who proved who they are."""

    name: str
    """For the audit log and for messages: a user's name, or what stands for a token without a user."""
    user: str | None = None
    names: frozenset[str] = frozenset()
    """The user's name and those of the user's groups, as lists of the configuration may name them."""
    token: str | None = None
    """The id of the token that was shown; its secret is never kept."""
    scope: Scope | None = None
    """What the token is limited to; None where there was a password."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of access.

    Reading an index that is not open is for every user, until a right gives reading on that index, or on a member of
    it: then for those only whom a right on that very index names. A right to administer is none that closes it.
    Uploading, yanking and deleting are for every user until the configuration has a right of any kind; then they, too,
    are for those whom a right names. Only a right makes an administrator.
    """

    open_indexes: frozenset[str] = frozenset()
    """Those that anyone may read."""
    rights: tuple[Right, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = {}
    """Name → the users in it."""
    members: Mapping[str, tuple[str, ...]] = {}
    """Group of indexes → the indexes in it. Whoever may read a group reads through it what its members have."""
    failures_per_minute: int = 10
    """Wrong credentials from one address, after which it has to wait; 0: no limit."""
    is_open_on_loopback: bool = False
    """Whether those on this machine may write without credentials, as long as there is neither a user nor a token."""

    def names_of(self, user: str) -> frozenset[str]:
        """The user and the user's groups."""
        return frozenset({user, *(group for group, users in self.groups.items() if user in users)})

    def decide(self, visitor: Visitor | None, action: Action, index: str, project: NormalizedName | None) -> Decision:
        """What becomes of a request by this visitor (None: of anybody)."""
        if action is Action.READ and self._is_read_by_anyone(index, project):
            return Decision.ALLOWED
        if visitor is None:
            return Decision.CREDENTIALS_NEEDED
        if visitor.scope is not None and not visitor.scope.covers(action, index, project):
            return Decision.NOT_PERMITTED
        is_permitted = visitor.user is None or self._may(visitor, action, index, project)
        return Decision.ALLOWED if is_permitted else Decision.NOT_PERMITTED

    def administers(self, visitor: Visitor) -> bool:
        """Whether the visitor may do everything with every project of every index, as what is about all of them needs.

        Neither a token nor a right that leaves out any project is enough: who may make tokens could make one for it.
        Nor is it enough to have been let in without either, as on loopback: a token would outlast that.
        """
        if visitor.scope is not None and not _is_whole(visitor.scope):
            return False
        if visitor.user is None:
            return visitor.token is not None
        names = {*visitor.names, AUTHENTICATED}
        return any(_is_whole(right.scope) for right in self.rights if names.intersection(right.who))

    def _is_read_by_anyone(self, index: str, project: NormalizedName | None) -> bool:
        """The list of a closed index stays closed, though anyone may read some of its projects."""
        if index in self.open_indexes:
            return True
        rights = (right.scope for right in self.rights if ANYONE in right.who)
        return project is not None and any(scope.covers(Action.READ, index, project) for scope in rights)

    def _may(self, visitor: Visitor, action: Action, index: str, project: NormalizedName | None) -> bool:
        """Whether the visitor's user may, apart from the limits of a token."""
        names = {*visitor.names, AUTHENTICATED}
        if any(right.scope.covers(action, index, project) for right in self.rights if names.intersection(right.who)):
            return True
        if action is Action.ADMIN:
            return False
        if action is Action.READ:
            named = [right.scope for right in self.rights if ANYONE not in right.who]
            return not any(scope.names(Action.READ, one) for scope in named for one in self._with_members(index))
        return not self.rights

    def _with_members(self, index: str) -> list[str]:
        """The index, and all that it leads to."""
        found = [index]
        for one in found:
            found += [member for member in self.members.get(one, ()) if member not in found]
        return found
