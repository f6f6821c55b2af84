"""Requirements files as pip reads them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

import pytest

from pypim.core.errors import InvalidConfig, InvalidRequirement
from pypim.core.requirements import RequirementsFile, parse_requirement_argument, read_requirements

SHA = "a" * 64


def reader(files: Mapping[str, str]) -> Callable[[str], str]:
    def read(path: str) -> str:
        normal = posixpath.normpath(path.replace("\\", "/"))
        if normal not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[normal]

    return read


def read(text: str, variables: Mapping[str, str] | None = None, **others: str) -> RequirementsFile:
    files = {"requirements.txt": text, **{name.replace("__", "/") + ".txt": body for name, body in others.items()}}
    return read_requirements("requirements.txt", reader(files), variables)


def texts(found: RequirementsFile) -> list[str]:
    return [line.text for line in found.requirements]


def faults(text: str, **others: str) -> list[tuple[int | None, str]]:
    with pytest.raises(InvalidConfig) as caught:
        read(text, None, **others)
    assert caught.value.exit_status == 2
    return [(fault.line, fault.sentence) for fault in caught.value.faults]


def test_comments_blank_lines_and_line_numbers() -> None:
    found = read(
        "# all of it\n\nflask  # the web\n  django>=5,<6\nname#notacomment ; python_version > '3'\n".replace(
            "name#notacomment", "six"
        )
    )
    assert [(line.text, line.where) for line in found.requirements] == [
        ("flask", "requirements.txt:3"),
        ("django>=5,<6", "requirements.txt:4"),
        ("six ; python_version > '3'", "requirements.txt:5"),
    ]
    assert str(found.requirements[1].requirement.specifier) == "<6,>=5"


def test_byte_order_mark_and_windows_line_ends() -> None:
    assert texts(read("\ufeffflask\r\ndjango\r\n")) == ["flask", "django"]


def test_a_continued_line_has_the_number_of_its_first() -> None:
    found = read(f"\nflask==3.1.0 \\\n    --hash=sha256:{SHA} \\\n    --hash=sha256:{'B' * 64}\nsix\n")
    flask, six = found.requirements
    assert (flask.text, flask.where) == ("flask==3.1.0", "requirements.txt:2")
    assert flask.hashes == {f"sha256:{SHA}", f"sha256:{'b' * 64}"}
    assert (six.text, six.where, six.hashes) == ("six", "requirements.txt:5", frozenset())


def test_a_comment_ends_a_continued_line() -> None:
    """As in pip: the comment is no part of what was continued, and what follows starts anew."""
    assert texts(read("flask \\\n# comment \\\ndjango\n")) == ["flask", "django"]
    assert texts(read("flask \\")) == ["flask"]


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_the_other_strong_hashes(algorithm: str) -> None:
    digest = "0" * {"sha384": 96, "sha512": 128}[algorithm]
    (line,) = read(f"a --hash {algorithm}:{digest}").requirements
    assert line.hashes == {f"{algorithm}:{digest}"}


def test_extras_and_markers() -> None:
    (line,) = read("requests[security,socks]>=2; sys_platform == 'linux'").requirements
    assert line.requirement.extras == {"security", "socks"}
    assert str(line.requirement.marker) == 'sys_platform == "linux"'


def test_included_files_are_relative_to_the_one_that_names_them() -> None:
    found = read(
        "-r deps/web.txt\n",
        deps__web="flask\n-r ../more.txt\n--constraint=pins.txt\n",
        more="six",
        deps__pins="six<2\n",
    )
    assert [(line.text, line.where.replace("\\", "/")) for line in found.requirements] == [
        ("flask", "deps/web.txt:1"),
        ("six", "deps/../more.txt:1"),
    ]
    assert texts(RequirementsFile(found.constraints)) == ["six<2"]


@pytest.mark.parametrize(
    "include",
    [
        "-r other.txt",
        "-rother.txt",
        "-r=other.txt",
        "--requirement other.txt",
        "--requirement=other.txt",
        '-r "other.txt"',
    ],
)
def test_every_way_to_include(include: str) -> None:
    assert texts(read(include, other="flask")) == ["flask"]


def test_files_that_include_each_other_come_to_an_end() -> None:
    found = read(
        "-r a/one.txt\nflask", a__one="-r ../b/two.txt\nsix", b__two="-r ../a/one.txt\n-r ../requirements.txt\ndjango"
    )
    assert texts(found) == ["django", "six", "flask"]


def test_a_constraint_asks_for_nothing() -> None:
    found = read("-c pins.txt\nflask", pins="flask<4\nunused==1")
    assert texts(found) == ["flask"]
    assert texts(RequirementsFile(found.constraints)) == ["flask<4", "unused==1"]


def test_options_without_meaning_for_a_mirror_are_noted() -> None:
    found = read(
        "-i https://index.example/simple\n--extra-index-url https://user:secret@index.example/\n"
        "-f ./wheels --no-index\n"
        "--pre\n--only-binary :all:\n--trusted-host=index.example\n--use-feature fast-deps\n--require-hashes\n"
        "flask --config-settings=a=b --global-option=x\n"
    )
    assert texts(found) == ["flask"]
    assert len(found.notes) == 11
    assert found.notes[0] == (
        "requirements.txt:1: --index-url is not used: the configuration says which upstream and which files are used"
    )
    assert "secret" not in "".join(found.notes)


def test_variables() -> None:
    found = read(
        "${NAME}==${VERSION}\n$HOME-is-not-one\n".replace("$HOME-is-not-one", "six"),
        {"NAME": "flask", "VERSION": "3.1"},
    )
    assert texts(found) == ["flask==3.1", "six"]
    assert faults("flask==${NOWHERE}")[0][1].endswith("Set NOWHERE in the environment, or write the value itself.")


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "-e git+https://git.example/a.git#egg=a",
        "--editable=./a",
        "./wheels/a-1.0-py3-none-any.whl",
        "../a",
        "/srv/a",
        "a-1.0.tar.gz",
        "wheels/a",
        "C:\\wheels\\a.zip",
        "https://files.example/a-1.0.tar.gz",
        "git+ssh://git.example/a.git",
        "file:///srv/a",
        "a @ https://files.example/a-1.0.tar.gz",
        "a@git+https://git.example/a.git",
    ],
)
def test_addresses_paths_and_editable_projects_are_refused(line: str) -> None:
    """A mirror holds releases of an index: the message names the line and what to write instead."""
    ((number, sentence),) = faults(f"six\n{line}\n")
    assert number == 2
    assert "releases of an index" in sentence or "no release that could be mirrored" in sentence
    assert "nstead" in sentence or "naming them" in sentence


def test_credentials_are_not_repeated() -> None:
    ((_, sentence),) = faults("a @ https://user:secret@files.example/a.whl")
    assert "secret" not in sentence
    with pytest.raises(InvalidRequirement) as caught:
        parse_requirement_argument("https://user:secret@files.example/a.whl", "argument")
    assert "secret" not in str(caught.value)


def test_every_fault_of_a_file_at_once() -> None:
    found = faults(
        "flask=1.0\nsix\n>=1\na b\n--no-such-option\nx --hash=md5:abc\n"
        "--hash=sha256:abc\nx -r other.txt\n-r\n-r http://x.example/r\ny 'z\n"
    )
    assert [number for number, _ in found] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    by_line = dict(found)
    assert "flask==1.0" in by_line[1]
    assert "not an option" in by_line[5]
    assert "sha256:<64 hex digits>" in by_line[6]
    assert "behind a requirement" in by_line[7]
    assert "may not stand behind" in by_line[8]
    assert "names no file" in by_line[9]
    assert "Download the file" in by_line[10]


def test_faults_of_included_files_name_their_file() -> None:
    with pytest.raises(InvalidConfig) as caught:
        read("-r other.txt\n!\n", other="six\n?\n")
    assert str(caught.value).startswith("requirements.txt:2: ")
    assert "other.txt:2: " in str(caught.value)
    with pytest.raises(InvalidConfig) as caught:
        read("-r other.txt\n", other="six\n?\n")
    assert str(caught.value).startswith("other.txt:2: ")


def test_a_file_that_includes_itself_is_noted() -> None:
    """It adds nothing, so uv takes it; pip refuses it, so it is told."""
    found = read("-r other.txt\nsix\n-r third.txt\n-r third.txt\n", other="flask\n-r ./requirements.txt\n", third="a\n")
    assert texts(found) == ["flask", "six", "a"]
    (note,) = found.notes
    assert note.startswith("other.txt:2: ./requirements.txt leads back")
    (note,) = read("-c requirements.txt\nsix\n").notes
    assert note.startswith("requirements.txt:1: ")


def test_files_that_cannot_be_read() -> None:
    ((line, sentence),) = faults("six\n-r missing.txt\n")
    assert line == 2
    assert "missing.txt cannot be read: No such file or directory" in sentence
    with pytest.raises(InvalidConfig, match=r"nowhere\.txt: the file cannot be read"):
        read_requirements("nowhere.txt", reader({}))

    def undecodable(path: str) -> str:
        return b"\xff\xfe".decode()

    with pytest.raises(InvalidConfig, match="not UTF-8"):
        read_requirements("r.txt", undecodable)


def test_a_requirement_on_the_command_line() -> None:
    line = parse_requirement_argument(" django >=5,<6 ", "argument 1")
    assert (line.text, line.where, line.requirement.name) == ("django >=5,<6", "argument 1", "django")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("django=5.0", "django==5.0"),
        ("django@5.0", "django==5.0"),
        ("django >> 5", "name[extra]>=1.0,<2"),
        ("", "name[extra]>=1.0,<2"),
        (".", "flask==3.1.0"),
        ("./project", "flask==3.1.0"),
        ("a @ file:///a.whl", "flask==3.1.0"),
    ],
)
def test_what_is_no_requirement_on_the_command_line(text: str, hint: str) -> None:
    with pytest.raises(InvalidRequirement) as caught:
        parse_requirement_argument(text, "argument 1")
    assert caught.value.message.startswith("argument 1: ")
    assert hint in caught.value.hint
