"""The API under /api/v1: what it answers is what its description says, to whomever it says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypim.web.api_document import Description
from tests.web.api_site import ApiSite, basic
from tests.web.asking import Answer, ask

Json = dict[str, Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiSite]:
    with ApiSite(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="module")
def description(site: ApiSite) -> Description:
    document: Description = site.ask("/openapi.json").document
    return document


# --- reading --------------------------------------------------------------------------------------------------------
def test_the_indexes_are_those_that_one_may_read(site: ApiSite) -> None:
    anonymous = site.ask("/indexes").document["indexes"]
    assert [one["name"] for one in anonymous] == ["main", "private", "all", "cache", "strict", "nested"]
    assert {one["name"]: one["kind"] for one in anonymous}["all"] == "group"
    assert [one["name"] for one in anonymous if one["is_default"]] == ["all"]
    everything = site.ask("/indexes", who=basic("reader")).document["indexes"]
    assert {one["name"]: one["read"] for one in everything}["closed"] == "authenticated"
    assert ask(anonymous[0]["simple_url"]).status == 200


def test_wrong_credentials_are_never_taken_for_none(site: ApiSite) -> None:
    assert site.ask("/indexes", who=basic("reader", "wrong")).status == 401


def test_the_state_of_a_mirror(site: ApiSite) -> None:
    state = site.ask("/indexes/main").document
    assert (state["kind"], state["state"], state["upstream"]) == ("mirror", "published", "up")
    assert (state["projects"], state["files"]) == (2, 2)
    assert state["file_bytes"] > 0
    assert state["last_sync"].endswith("+00:00")
    assert state["last_outcome"] == "done"


def test_the_state_of_the_other_kinds(site: ApiSite) -> None:
    private = site.ask("/indexes/private").document
    assert private["projects"] >= 2
    assert private["files"] >= 2
    assert private["last_serial"] > 0
    group = site.ask("/indexes/all").document
    assert (group["members"], group["files"]) == (["private", "main"], None)


def test_the_list_of_projects_comes_page_by_page(site: ApiSite) -> None:
    found: list[str] = []
    after = ""
    while True:
        page = site.ask(f"/indexes/all/projects?limit=1&after={after}").document
        found += page["projects"]
        if page["next"] is None:
            break
        after = page["next"]
    assert found == ["acme-app", "app", "lib", "ours"]


def test_names_that_are_reserved_are_not_listed_for_others(site: ApiSite) -> None:
    """The list and the projects agree: what a group lists it answers for."""
    listed = site.ask("/indexes/nested/projects").document["projects"]
    assert listed == ["acme-app", "app", "ours"]
    for project in listed:
        assert site.ask(f"/indexes/nested/projects/{project}").document["files"]
    assert site.ask("/indexes/nested/projects/lib").document["files"] == []


def test_of_a_proxy_what_it_keeps_is_listed(site: ApiSite) -> None:
    """Its upstream may have a million projects; they are on the Simple API."""
    assert site.ask("/indexes/cache/projects").document["projects"] == []
    files = site.ask("/indexes/cache/projects/lib").document["files"]
    (file,) = [one for one in files if one["filename"].startswith("lib-1.0")]  # the mirror has the other one
    assert ask(file["url"]).status == 200
    deadline = time.monotonic() + 20
    while not (state := site.ask("/indexes/cache").document)["files"]:
        assert time.monotonic() < deadline  # it is recorded behind the answer
    assert site.ask("/indexes/cache/projects").document["projects"] == ["lib"]
    assert (state["upstream"], state["projects"], state["files"], state["file_bytes"]) == ("up", 1, 1, file["size"])


def test_a_project_has_addresses_that_lead_to_its_files(site: ApiSite) -> None:
    (file,) = site.ask("/indexes/main/projects/Lib").document["files"]
    answer = ask(file["url"])
    assert (answer.status, len(answer.body)) == (200, file["size"])
    assert file["has_metadata"]
    assert ask(file["url"] + ".metadata").status == 200


def test_why_a_mirror_keeps_a_project(site: ApiSite) -> None:
    """The same as `pypim why --json` prints."""
    (kept,) = site.ask("/indexes/main/why/lib").document["kept"]
    assert [link["requirement"] for link in kept["release"]["chains"][0]["links"]] == ["latest", "lib>=1"]
    assert kept["is_asked_for"]
    assert site.ask("/indexes/main/why/lib?version=1.0").status == 404
    assert site.ask("/indexes/main/why/absent").status == 404


def test_which_member_of_a_group_answers(site: ApiSite) -> None:
    (said,) = site.ask("/indexes/all/why/lib").document["groups"]
    assert said["winner"] == "main"
    assert [member["outcome"] for member in said["members"]] == ["has-none", "answers"]
    assert site.ask("/indexes/all/why/absent").status == 404


def test_a_hosted_index_keeps_what_was_uploaded(site: ApiSite) -> None:
    assert site.ask("/indexes/private/why/ours").status == 404


@pytest.mark.parametrize(
    "path", ["/indexes/closed", "/indexes/closed/projects", "/indexes/closed/projects/secret", "/indexes/closed/why/x"]
)
def test_what_one_may_not_read_asks_for_credentials(site: ApiSite, path: str) -> None:
    """Whether a project is there is not told, either (RFC 9110, 15.5.2)."""
    answer = site.ask(path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="pypim"'
    assert site.ask(f"{path}-absent").status in {401, 404}


# --- administration -------------------------------------------------------------------------------------------------
def test_a_token_is_made_listed_used_and_revoked(site: ApiSite) -> None:
    made = site.ask("/tokens", "POST", {"may": ["read"], "label": "ci", "expires": "90 days"}, who=site.root)
    assert made.status == 201
    text, token_id = made.document["token"], made.document["kept"]["id"]
    assert site.ask("/indexes/closed", who=f"Bearer {text}").status == 200
    listed = site.ask("/tokens", who=basic("root"))
    assert {one["id"]: one["label"] for one in listed.document["tokens"]}[token_id] == "ci"
    assert text.partition(".")[2] not in listed.text
    assert site.ask(f"/tokens/{token_id}", "DELETE", who=site.root).document == {"id": token_id, "revoked": True}
    assert site.ask("/indexes/closed", who=f"Bearer {text}").status == 401
    states = {one["id"]: one["state"] for one in site.ask("/tokens?all=true", who=site.root).document["tokens"]}
    assert states[token_id] == "revoked"


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (None, 401),
        ("reader", 403),
        ("some", 403),
        ("token upload", 403),
        ("token acme", 403),
        ("token private", 403),
        ("token all", 200),
        ("root", 200),
    ],
)
def test_only_those_who_may_administer_everything_see_accounts(site: ApiSite, who: str | None, status: int) -> None:
    """A token of "acme-*" with `admin` could make one for every other project."""
    sender = who
    if who is not None:
        sender = f"Bearer {site.tokens[who[6:]]}" if who.startswith("token ") else basic(who)
    for path in ("/tokens", "/users"):
        assert site.ask(path, who=sender).status == status
    if status != 200:
        assert site.ask("/tokens", "POST", {"may": ["admin"]}, who=sender).status == status
        assert site.ask("/tokens/00aa00aa00aa", "DELETE", who=sender).status == status


def test_the_users(site: ApiSite) -> None:
    assert [one["name"] for one in site.ask("/users", who=site.root).document["users"]] == ["reader", "root", "some"]


def test_every_change_and_refusal_is_in_the_audit_log(site: ApiSite) -> None:
    kept = site.ask("/tokens", "POST", {"may": ["upload"]}, who=site.root).document["kept"]
    site.ask("/tokens", "POST", {"may": ["upload"]}, who=basic("reader"))
    lines = [json.loads(line) for line in (site.store / "audit.jsonl").read_text().splitlines()]
    entries = [line for line in lines if line["action"] == "create-token"][-2:]
    assert [(entry["outcome"], entry["peer"]) for entry in entries] == [
        ("done", "127.0.0.1"),
        ("not-permitted", "127.0.0.1"),
    ]
    assert entries[0]["reason"] == f"token {kept['id']}"
    assert [entry["visitor"] for entry in entries] == ["all", "reader"]
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
    assert all(form.fullmatch(line["time"]) for line in lines), "of changes to accounts as of uploads"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[", 400),
        ({"may": []}, 400),
        ({"may": ["all"]}, 400),
        ({"may": ["read"], "more": 1}, 400),
        ({"may": ["read"], "expires": "0 days"}, 400),
        ({"may": ["read"], "label": "a\nb"}, 400),
        ({"may": ["read"], "user": "absent"}, 404),
        ({"may": ["read"], "indexes": ["absent"]}, 404),
        (b'{"may": ["read"], "label": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_what_is_no_token_is_refused(site: ApiSite, body: object, status: int) -> None:
    answer = site.ask("/tokens", "POST", body, who=site.root)
    assert answer.status == status
    assert set(answer.document) == {"code", "title", "message", "kind"}


# --- requests as such -----------------------------------------------------------------------------------------------
def test_a_method_that_is_not_there_is_told_which_are(site: ApiSite) -> None:
    """RFC 9110, 15.5.6: a 405 has an Allow header."""
    answer = site.ask("/tokens", "PATCH")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert site.ask("/tokens", "OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert site.ask("/indexes/private/projects/ours/1.0/yank", "PUT").headers["allow"] == "DELETE, OPTIONS, POST"


def test_a_form_that_is_not_there_is_not_acceptable(site: ApiSite) -> None:
    assert site.ask("/indexes", Accept="text/csv").status == 406
    assert site.ask("/indexes", Accept="text/csv, */*;q=0.1").status == 200
    assert site.ask("/indexes", Accept="application/json;q=0").status == 406


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1&limit=2", "what=1", "limit=99999"])
def test_a_query_that_means_nothing_is_refused(site: ApiSite, query: str) -> None:
    assert site.ask(f"/indexes/private/projects?{query}").status == 400


def test_head_has_no_body(site: ApiSite) -> None:
    answer = site.ask("/indexes", "HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_what_is_not_there_is_json_as_well(site: ApiSite) -> None:
    answer = ask(f"{site.url}/api/v1/nothing", Accept="application/json")
    assert (answer.status, answer.media_type) == (404, "application/json")


# --- the description ------------------------------------------------------------------------------------------------
def test_the_description_is_open_to_all_and_complete(description: Description) -> None:
    assert description["openapi"] == "3.1.0"
    assert description["servers"] == [{"url": "/api/v1"}]
    operations = [one for path in description["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    text = json.dumps(description)
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in description["components"]["schemas"]


def check(answer: Answer, description: Description, path: str, method: str) -> None:
    """The answer is one that the description has: its status, its type, and the fields of its shape."""
    assert answer.status < 500, answer
    responses = description["paths"][path][method]["responses"]
    assert str(answer.status) in responses, (path, answer)
    content = responses[str(answer.status)]["content"]
    assert answer.media_type in content, (path, answer)
    if answer.media_type == "application/json":
        shape = content["application/json"]["schema"]
        if "$ref" in shape:
            schema = description["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
            assert set(schema["required"]) <= set(answer.document) <= set(schema["properties"]), answer


VALUES = {
    "index": st.sampled_from(["main", "private", "closed", "all", "absent", "%41"]),
    "project": st.sampled_from(["app", "ours", "Acme.App", "absent", "secret"]),
    "version": st.sampled_from(["1.0", "1.1", "9"]),
    "filename": st.sampled_from(["ours-1.0-py3-none-any.whl", "absent-1.tar.gz"]),
    "id": st.sampled_from(["00aa00aa00aa", "pypim-00aa00aa00aa.x"]),
}
ODD = st.text(max_size=12).map(lambda text: quote(text.encode("utf-8", "replace"), safe=""))
SENDERS = ("root", "none", "wrong", "reader")
SIMPLE = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
BODIES = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["may", "status", "reason", "label", "user", "projects", "x"]), inner, max_size=4
        )
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_no_answer_is_a_fault_of_ours_or_undocumented(
    site: ApiSite, description: Description, data: st.DataObject
) -> None:
    """Whatever is sent to any endpoint: no 5xx, and a status, a type and a shape that the description has."""
    path = data.draw(st.sampled_from(sorted(description["paths"])))
    method = data.draw(st.sampled_from(sorted(description["paths"][path])))
    filled = re.sub(r"\{(\w+)\}", lambda found: data.draw(VALUES[found[1]] | ODD) or "x", path)
    query = data.draw(
        st.dictionaries(st.sampled_from(["limit", "after", "all", "version"]), st.text(max_size=5), max_size=2)
    )
    who = {"root": site.root, "none": None, "wrong": basic("root", "wrong"), "reader": basic("reader")}
    sender = who[data.draw(st.sampled_from(SENDERS))]
    body = data.draw(st.none() | BODIES | st.binary(max_size=20)) if method in {"post", "put"} else None
    encoded = urlencode(query, errors="replace")
    answer = site.ask(f"{filled}?{encoded}" if encoded else filled, method.upper(), body, who=sender)
    if answer.status == 404 and answer.media_type == "text/plain":
        return  # an odd value made another path of it
    check(answer, description, path, method)
