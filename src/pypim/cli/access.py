"""The commands about who may use the server: `pypim user` and `pypim token`.

They write to the catalog only, so that a server or a sync may have the store in use meanwhile.
"""

from __future__ import annotations

import getpass
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Group, examples
from pypim.cli.options import WorkspaceArguments
from pypim.cli.output import Session, counted, table
from pypim.core.access import EVERY, Action, scope_of
from pypim.core.account_rows import TokenRow, token_row, user_row
from pypim.core.audit import AuditEntry
from pypim.core.errors import Conflict, InvalidUsage, NotFound
from pypim.core.hosted import upload_time
from pypim.core.tokens import ID_BYTES, PREFIX, SECRET_BYTES, User, ends_at, made_token, parse_user_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.config.model import Config


_to_option = click.option("--to", metavar="DIR", type=click.Path(), help="The mirror in this folder.")
_stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, up to the end of the first line."
)


def _config(session: Session, to: str | None) -> Config:
    folder = None if to is None else Path(to).absolute()
    return session.workspace(WorkspaceArguments(to=folder), is_about_mirrors=False).config


def _tell(config: Config, action: str, sentence: str) -> None:
    """Tell the audit log, as the server's API does of the same deeds; here nobody is known but the system's user."""
    from pypim.wiring import audit_of

    now = upload_time(time.time())
    entry = AuditEntry(
        time=now, visitor="", action=action, index="", outcome="done", reason=sentence, peer=_system_user()
    )
    audit_of(config).append(entry)


def _system_user() -> str:
    """Who runs this on this machine."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):  # a number without a name, as in some containers
        return "local"


# --- users ----------------------------------------------------------------------------------------------------------
@click.group(
    "user",
    cls=Group,
    epilog=examples(
        ("pypim user add alice", "Add a user; the password is asked for."),
        ("pypim user list", "Who there is."),
    ),
)
def user() -> None:
    """Add, list and remove users of the server, and set their passwords.

    What users may do is said in the configuration, under [access]. Programs are better given tokens: see `pypim token`.
    A server that is running knows of every change at once.
    """


@user.command(
    "add",
    epilog=examples(
        ("pypim user add alice", "Ask for the password on the terminal."),
        ("pypim user add alice --password-stdin < password.txt", "Take it from a file that only you can read."),
    ),
)
@_to_option
@_stdin_option
@click.argument("name")
@click.pass_obj
def user_add(session: Session, *, to: str | None, password_stdin: bool, name: str) -> int:
    """Add a user with a password.

    The password is asked for on the terminal, or read from standard input; it is never an argument, for those can be
    read by everybody on the machine. It is kept as an Argon2id hash.
    """
    from pypim.wiring import open_accounts

    config, parsed = _config(session, to), parse_user_name(name)
    if name in config.access.rules.groups:
        raise InvalidUsage(f"{name!r} is a group of the configuration", hint="Choose another name for the user.")
    with open_accounts(config, writable=True) as accounts:
        if accounts.user(parsed) is not None:
            raise Conflict(f"there is a user {name!r}", hint=f"To change the password: `pypim user password {name}`.")
        _set_password(parsed, accounts.keep_user, from_stdin=password_stdin)
    _tell(config, "add-user", f"user {name}")
    return session.emit({"command": "user add", "name": name}, f"added user {name}")


@user.command(
    "password",
    epilog=examples(
        ("pypim user password alice", "Ask for the new password on the terminal."),
        ("pypim user password alice --password-stdin < password.txt", "Take it from a file."),
    ),
)
@_to_option
@_stdin_option
@click.argument("name")
@click.pass_obj
def user_password(session: Session, *, to: str | None, password_stdin: bool, name: str) -> int:
    """Set the password of a user anew. The user's tokens stay."""
    from pypim.wiring import open_accounts

    config = _config(session, to)
    with open_accounts(config, writable=True) as accounts:
        if accounts.user(name) is None:
            raise _no_user(name)
        _set_password(name, accounts.keep_user, from_stdin=password_stdin)
    _tell(config, "set-password", f"user {name}")
    return session.emit({"command": "user password", "name": name}, f"changed the password of user {name}")


@user.command(
    "list",
    epilog=examples(
        ("pypim user list", "Every user with groups and the number of tokens."),
        ("pypim user list --json", "For a program to read."),
    ),
)
@_to_option
@click.pass_obj
def user_list(session: Session, *, to: str | None) -> int:
    """List the users, with the groups that the configuration puts them in."""
    from pypim.wiring import open_accounts

    config, now = _config(session, to), time.time()
    with open_accounts(config, writable=False) as accounts:
        tokens, users = accounts.tokens(), accounts.users()
    rows = tuple(user_row(one, tokens, config.access.rules, now) for one in users)

    def prose() -> None:
        if not rows:
            session.say(session.pasteable("no users; add one with `pypim user add NAME`"))
            return
        heading = ("USER", "GROUPS", "TOKENS", "PASSWORD SET")
        lines = [(row.name, ", ".join(row.groups), str(row.tokens), row.changed_at) for row in rows]
        session.say(table([heading, *lines], right={2: True}))

    return session.emit({"command": "user list", "users": rows}, prose)


@user.command(
    "remove",
    epilog=examples(
        ("pypim user remove alice", "From now on nothing of alice's is accepted."),
        ("pypim user remove alice --to ./mirror", "Of a mirror that was made without a configuration."),
    ),
)
@_to_option
@click.argument("name")
@click.pass_obj
def user_remove(session: Session, *, to: str | None, name: str) -> int:
    """Remove a user, with all of the user's tokens. What the user uploaded stays."""
    from pypim.wiring import open_accounts

    config = _config(session, to)
    with open_accounts(config, writable=True) as accounts:
        tokens = sum(token.user == name for token in accounts.tokens())
        if not accounts.remove_user(name):
            raise _no_user(name)
    _tell(config, "remove-user", f"user {name} and {counted(tokens, 'token')}")
    document = {"command": "user remove", "name": name, "tokens": tokens}
    return session.emit(document, f"removed user {name} and {counted(tokens, 'token')}")


def _no_user(name: str) -> NotFound:
    return NotFound(f"there is no user {name!r}", hint="See `pypim user list`.")


def _set_password(name: str, keep: Callable[[User], None], *, from_stdin: bool) -> None:
    from pypim.web.passwords import hash_password

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise InvalidUsage(
            "there is no terminal to ask for the password", hint="Give --password-stdin and the password as input."
        )
    now = time.time()
    keep(User(name=name, password_hash=hash_password(password), created_at=now, changed_at=now))


# --- tokens ---------------------------------------------------------------------------------------------------------
@click.group(
    "token",
    cls=Group,
    epilog=examples(
        ("pypim token create --user alice --index internal --may upload", "A token for alice's uploads."),
        ("pypim token create --label ci --may read --expires '90 days'", "One that only reads, for a build."),
        ("pypim token list", "What there is, and when it was used last."),
    ),
)
def token() -> None:
    """Make, list and revoke tokens, which programs show to the server instead of a password.

    A token may do what its scope says, on the indexes and projects that its scope names, until it expires; with a user,
    nothing that the user may not do. Its text is shown once: the store keeps a hash of it.
    """


@token.command(
    "create",
    epilog=examples(
        (
            "pypim token create --user alice --index internal --project 'acme-*' --may upload --expires '90 days'",
            "For twine and uv: the user name is __token__, the password is what is printed.",
        ),
        ("pypim token create --label ci --may read > token.txt", "Only the token itself goes to standard output."),
    ),
)
@_to_option
@click.option("--user", "user_name", metavar="NAME", help="Whose token it is; without it, its scope alone counts.")
@click.option("--label", metavar="TEXT", default="", help="A word to know it by.")
@click.option(
    "--index", "indexes", metavar="NAME", multiple=True, help="For this index; may be repeated.  [default: all]"
)
@click.option(
    "--project", "projects", metavar="PATTERN", multiple=True, help="For these projects: name or glob.  [default: all]"
)
@click.option(
    "--may",
    "actions",
    type=click.Choice([action.value for action in Action]),
    multiple=True,
    required=True,
    help="What it may do; may be repeated.",
)
@click.option("--expires", metavar="DURATION", help='When it ends: "90 days", "12 hours".  [default: never]')
@click.pass_obj
def token_create(session: Session, /, *, to: str | None, expires: str | None, **given: object) -> int:
    """Make a token and print it, once.

    It goes to standard output alone, so that it can be piped to where it is kept; what it may do goes to standard
    error. Nobody can print it again: make another one when it is lost, and revoke this one.
    """
    from pypim.wiring import open_accounts

    config, now = _config(session, to), time.time()
    made = msgspec.convert(given, _Asked)
    for name in made.indexes:
        if name not in config.indexes:
            known = ", ".join(config.indexes)
            raise InvalidUsage(f"--index {name}: no such index is configured", hint=f"There are: {known}.")
    text, kept = made_token(
        secrets.token_bytes(ID_BYTES + SECRET_BYTES),
        scope_of(made.indexes, made.projects, made.actions, "--project"),
        now,
        user=made.user_name,
        label=made.label,
        expires_at=ends_at(expires, now, "--expires"),
    )
    with open_accounts(config, writable=True) as accounts:
        accounts.keep_token(kept)
    row = token_row(kept, now)
    _tell(config, "create-token", f"token {row.id}")
    session.note(_description(row))
    return session.emit({"command": "token create", "token": text, "kept": row}, lambda: session.say(text))


class _Asked(msgspec.Struct):
    """What `token create` was told."""

    user_name: str | None
    label: str
    indexes: tuple[str, ...]
    projects: tuple[str, ...]
    actions: tuple[str, ...]


@token.command(
    "list",
    epilog=examples(
        ("pypim token list", "Those that can be used."),
        ("pypim token list --all --json", "Also those that are revoked or expired, for a program to read."),
    ),
)
@_to_option
@click.option("--all", "with_all", is_flag=True, help="Also those that are revoked or expired.")
@click.pass_obj
def token_list(session: Session, *, to: str | None, with_all: bool) -> int:
    """List the tokens: what they may do, when they expire, and when they were used last."""
    from pypim.wiring import open_accounts

    now = time.time()
    with open_accounts(_config(session, to), writable=False) as accounts:
        found = accounts.tokens()
    rows = tuple(token_row(one, now) for one in found if with_all or one.is_valid(now))

    def prose() -> None:
        if not rows:
            session.say(session.pasteable("no tokens; make one with `pypim token create`"))
            return
        heading = ("ID", "USER", "LABEL", "MAY", "INDEXES", "PROJECTS", "STATE", "EXPIRES", "LAST USED")
        session.say(table([heading, *map(_cells, rows)]))

    return session.emit({"command": "token list", "tokens": rows}, prose)


@token.command(
    "revoke",
    epilog=examples(
        ("pypim token revoke 1f2e3d4c5b6a", "From now on it is refused."),
        ("pypim token revoke 1f2e3d4c5b6a --to ./mirror", "Of a mirror that was made without a configuration."),
    ),
)
@_to_option
@click.argument("token_id", metavar="ID")
@click.pass_obj
def token_revoke(session: Session, *, to: str | None, token_id: str) -> int:
    """Make a token useless, at once and for good.

    ID is what `pypim token list` shows: the part of the token's text between "pypim-" and the dot, which is no secret.
    """
    from pypim.wiring import open_accounts

    plain = token_id.removeprefix(PREFIX).partition(".")[0]
    config = _config(session, to)
    with open_accounts(config, writable=True) as accounts:
        if not accounts.revoke_token(plain, time.time()):
            raise NotFound(f"there is no token {plain!r}", hint="See `pypim token list --all`.")
    _tell(config, "revoke-token", f"token {plain}")
    return session.emit({"command": "token revoke", "id": plain}, f"revoked token {plain}")


def _cells(row: TokenRow) -> tuple[str, ...]:
    return (
        row.id,
        row.user or "-",
        row.label or "-",
        ",".join(row.may),
        ",".join(row.indexes),
        ",".join(row.projects),
        row.state,
        row.expires_at or "never",
        row.used_at or "never",
    )


def _description(row: TokenRow) -> str:
    projects = "every project" if EVERY in row.projects else ", ".join(row.projects)
    indexes = "every index" if EVERY in row.indexes else ", ".join(row.indexes)
    return (
        f"token {row.id}{f' of {row.user}' if row.user else ''} may {', '.join(row.may)}: {projects} of {indexes}; "
        f"expires: {row.expires_at or 'never'}. It is shown this once:"
    )
