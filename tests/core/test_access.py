"""Who may do what: the decisions, as tables and as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypim.core.access import ANYONE, AUTHENTICATED, Action, Decision, Right, Rules, Scope, Visitor, scope_of
from pypim.core.errors import InvalidRequirement, InvalidUsage
from pypim.core.names import parse_name
from pypim.core.tokens import parse_user_name, split_token, token_text

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

ALLOWED, NEEDED, REFUSED = Decision.ALLOWED, Decision.CREDENTIALS_NEEDED, Decision.NOT_PERMITTED
READ, UPLOAD, DELETE, ADMIN = Action.READ, Action.UPLOAD, Action.DELETE, Action.ADMIN
APP, OTHER = parse_name("acme-app"), parse_name("other")
OPEN, CLOSED = "open", "closed"

NO_RIGHTS = Rules(open_indexes=frozenset({OPEN}))
RULES = Rules(
    open_indexes=frozenset({OPEN}),
    groups={"team": ("alice", "bob")},
    rights=(
        Right(("alice",), Scope(indexes=(CLOSED,), projects=("acme-*",), actions=frozenset({UPLOAD}))),
        Right(("team",), Scope(indexes=(CLOSED,), actions=frozenset({READ}))),
        Right((ANYONE,), Scope(indexes=(CLOSED,), projects=("other",), actions=frozenset({READ, UPLOAD}))),
        Right(("root",), Scope(actions=frozenset({ADMIN}))),
    ),
)


def user(name: str, rules: Rules, scope: Scope | None = None) -> Visitor:
    return Visitor(name=name, user=name, names=rules.names_of(name), scope=scope)


@pytest.mark.parametrize(
    ("who", "action", "index", "project", "expected"),
    [
        (None, READ, OPEN, APP, ALLOWED),
        (None, READ, OPEN, None, ALLOWED),
        (None, READ, CLOSED, APP, NEEDED),
        (None, READ, CLOSED, None, NEEDED),
        (None, UPLOAD, OPEN, APP, NEEDED),
        ("alice", READ, CLOSED, APP, ALLOWED),
        ("alice", UPLOAD, CLOSED, APP, ALLOWED),
        ("alice", UPLOAD, CLOSED, None, ALLOWED),
        ("alice", DELETE, OPEN, APP, ALLOWED),
        ("alice", ADMIN, OPEN, APP, REFUSED),
    ],
)
def test_without_rights_every_user_may_all_but_administer(
    who: str | None, action: Action, index: str, project: NormalizedName | None, expected: Decision
) -> None:
    visitor = None if who is None else user(who, NO_RIGHTS)
    assert NO_RIGHTS.decide(visitor, action, index, project) is expected


@pytest.mark.parametrize(
    ("who", "action", "index", "project", "expected"),
    [
        (None, READ, CLOSED, OTHER, ALLOWED),
        (None, READ, CLOSED, APP, NEEDED),
        (None, READ, CLOSED, None, NEEDED),
        (None, UPLOAD, CLOSED, OTHER, NEEDED),  # writes always need somebody
        ("alice", READ, CLOSED, APP, ALLOWED),
        ("alice", UPLOAD, CLOSED, APP, ALLOWED),
        ("alice", UPLOAD, CLOSED, None, ALLOWED),
        ("alice", UPLOAD, CLOSED, OTHER, REFUSED),
        ("alice", UPLOAD, OPEN, APP, REFUSED),
        ("alice", DELETE, CLOSED, APP, REFUSED),
        ("bob", READ, CLOSED, APP, ALLOWED),
        ("bob", READ, CLOSED, None, ALLOWED),
        ("bob", UPLOAD, CLOSED, APP, REFUSED),
        ("carol", READ, CLOSED, APP, REFUSED),
        ("carol", READ, CLOSED, OTHER, ALLOWED),
        ("carol", READ, OPEN, APP, ALLOWED),
        ("root", ADMIN, OPEN, APP, ALLOWED),
        ("root", DELETE, CLOSED, APP, ALLOWED),
        ("root", READ, CLOSED, APP, ALLOWED),
    ],
)
def test_with_rights_only_those_whom_they_name(
    who: str | None, action: Action, index: str, project: NormalizedName | None, expected: Decision
) -> None:
    visitor = None if who is None else user(who, RULES)
    assert RULES.decide(visitor, action, index, project) is expected


def test_a_right_for_the_authenticated_is_for_every_user() -> None:
    rules = Rules(rights=(Right((AUTHENTICATED,), Scope(actions=frozenset({UPLOAD}))),))
    assert rules.decide(user("carol", rules), UPLOAD, CLOSED, APP) is ALLOWED
    assert rules.decide(None, UPLOAD, CLOSED, APP) is NEEDED


def test_through_a_group_nobody_reads_what_a_right_keeps_to_others() -> None:
    """A right that gives reading on a member closes every group that leads to it, until one is given there, too."""
    rules = Rules(
        members={"all": ("some", OPEN), "some": (CLOSED, "all")},
        rights=(Right(("alice",), Scope(indexes=(CLOSED,), actions=frozenset({READ}))),),
    )
    for index in ("all", "some", CLOSED):
        assert rules.decide(user("bob", rules), READ, index, APP) is REFUSED
    assert rules.decide(user("alice", rules), READ, "all", APP) is REFUSED
    assert rules.decide(user("bob", rules), READ, "another", APP) is ALLOWED
    given = Right((AUTHENTICATED,), Scope(indexes=("all",), actions=frozenset({READ})))
    more = Rules(members=rules.members, rights=(*rules.rights, given))
    assert more.decide(user("bob", more), READ, "all", APP) is ALLOWED


def test_a_right_to_administer_closes_nothing_to_others() -> None:
    """Only a right that gives reading makes reading a matter of rights."""
    for actions, expected in (({ADMIN}, ALLOWED), ({ADMIN, READ}, REFUSED), ({UPLOAD}, ALLOWED)):
        rules = Rules(rights=(Right(("carol",), Scope(actions=frozenset(actions))),), members={"all": (CLOSED,)})
        for index in (CLOSED, "all"):
            assert rules.decide(user("alice", rules), READ, index, APP) is expected
            assert rules.decide(None, READ, index, APP) is NEEDED
    assert rules.decide(user("carol", rules), READ, CLOSED, APP) is ALLOWED


def test_a_token_without_a_user_may_what_its_scope_says() -> None:
    token = Visitor(name="ci", token="ab", scope=Scope(indexes=(CLOSED,), actions=frozenset({UPLOAD})))
    assert RULES.decide(token, UPLOAD, CLOSED, OTHER) is ALLOWED
    assert RULES.decide(token, READ, CLOSED, APP) is REFUSED
    assert RULES.decide(token, UPLOAD, "another", APP) is REFUSED


ACTIONS = st.frozensets(st.sampled_from(list(Action)))
SCOPES = st.builds(
    Scope,
    indexes=st.sampled_from([("*",), (OPEN,), (CLOSED,), (OPEN, CLOSED)]),
    projects=st.sampled_from([("*",), ("acme-*",), ("Acme_App",), ("other", "acme-*")]),
    actions=ACTIONS,
)
WHO = st.sampled_from(["alice", "team", ANYONE, AUTHENTICATED])
RIGHTS = st.lists(st.builds(Right, st.tuples(WHO), SCOPES), max_size=4).map(tuple)
ASKED = st.tuples(st.sampled_from(list(Action)), st.sampled_from([OPEN, CLOSED]), st.sampled_from([APP, OTHER, None]))


@given(RIGHTS, SCOPES, ASKED)
def test_a_token_never_permits_more_than_its_user_has(
    rights: tuple[Right, ...], scope: Scope, asked: tuple[Action, str, NormalizedName | None]
) -> None:
    rules = Rules(rights=rights, groups={"team": ("alice",)}, open_indexes=frozenset({OPEN}))
    with_token = rules.decide(user("alice", rules, scope), *asked)
    with_password = rules.decide(user("alice", rules), *asked)
    if with_token is ALLOWED:
        assert with_password is ALLOWED
    if with_token is ALLOWED and not scope.covers(*asked):
        assert rules.decide(None, *asked) is ALLOWED


@given(RIGHTS, ASKED)
def test_who_proves_who_they_are_is_never_asked_again_and_may_no_less(
    rights: tuple[Right, ...], asked: tuple[Action, str, NormalizedName | None]
) -> None:
    rules = Rules(rights=rights, open_indexes=frozenset({OPEN}))
    known, unknown = rules.decide(user("alice", rules), *asked), rules.decide(None, *asked)
    assert known is not NEEDED
    assert unknown is not REFUSED
    if unknown is ALLOWED:
        assert known is ALLOWED
        assert asked[0] is READ


def test_a_scope_is_read_from_words() -> None:
    assert scope_of([], [], ["read"], "--may") == Scope(actions=frozenset({READ}))
    scope = scope_of(["main"], ["Acme.App"], ["upload"], "--may")
    assert scope.covers(UPLOAD, "main", APP)
    assert not scope.covers(UPLOAD, "main", OTHER)
    with pytest.raises(InvalidRequirement, match="not to releases"):
        scope_of([], ["acme>=1"], ["read"], "--project")
    with pytest.raises(InvalidRequirement, match="this is no action"):
        scope_of([], [], ["write"], "--may")


@given(st.binary(min_size=6, max_size=6), st.binary(min_size=32, max_size=32))
def test_the_text_of_a_token_leads_to_what_is_kept(token_id: bytes, secret: bytes) -> None:
    text = token_text(token_id, secret)
    parts = split_token(text)
    assert parts is not None
    assert parts[0] == token_id.hex()
    assert len(parts[1]) == 64
    for wrong in (text[:-1], text + "a", text.upper(), text.replace("pypim", "pypi"), f" {text}", ""):
        assert split_token(wrong) is None


@pytest.mark.parametrize("text", ["alice", "a", "alice@acme.example", "build-1", "O_Neil", "x" * 64])
def test_names_of_users(text: str) -> None:
    assert parse_user_name(text) == text


@pytest.mark.parametrize(
    "text", ["", "a:b", "a b", "../a", "-a", "anyone", "Loopback", "__token__", "pypim-a", "x" * 65, "ä", "a\n"]
)
def test_what_is_no_name_of_a_user(text: str) -> None:
    with pytest.raises(InvalidUsage, match="cannot be the name of a user"):
        parse_user_name(text)
