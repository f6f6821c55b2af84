"""One example of every error, so that the reference shows the sentences that people will meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core import access_errors, errors, request_errors, upload_errors, upstream_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
_OTHER = "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"
_WHEEL = "flask-3.1.3-py3-none-any.whl"
_INDEX = "https://index.example/simple/"

SAMPLES: tuple[errors.PypimError, ...] = (
    errors.ProjectNotFound("flaks", _INDEX),
    errors.MetadataNotFound(_WHEEL, ["no .metadata file", "no ranges", "the wheel is too large"]),
    errors.NotAuthenticated(_INDEX),
    errors.NotAuthorised(_INDEX),
    errors.InvalidName("fl ask"),
    errors.InvalidFilename("../flask.whl", "it names a folder"),
    errors.InvalidConfig(
        "pypim.toml",
        [(4, "indexes.main.jbos: unknown key 'jbos', did you mean 'jobs'?")],
        hint="Correct the file and run `pypim config check`; `pypim config schema` prints a schema for your editor.",
    ),
    errors.InvalidRequirement("requirements.txt:3", "flask>=", "this is not a requirement"),
    errors.InvalidUsage("--replace goes with --to DIR", hint="A configuration is changed by editing it."),
    upstream_errors.MassRemoval(_INDEX, 14_001, 700_000),
    errors.UpstreamUnavailable(_INDEX, "the server answers 503 Service Unavailable", hint="Try again later."),
    errors.UpstreamTimeout(_INDEX, "no byte came for 30 seconds", hint="Try again later, or raise read-timeout."),
    errors.UpstreamMalformed(
        _INDEX,
        "the answer is of the type 'text/csv', which is no Simple API that pypim reads",
        hint="Check that the URL is that of a Simple API; it usually ends in /simple/.",
    ),
    upstream_errors.UpstreamTooLong(_INDEX, 128 << 20),
    errors.DigestMismatch(_WHEEL, "sha256", _DIGEST, _OTHER),
    errors.HashNotAllowed(_WHEEL, f"sha256:{_OTHER}", [f"sha256:{_DIGEST}"]),
    errors.SizeMismatch(_WHEEL, 103_424, 100_000),
    errors.CorruptBlob(_WHEEL, f"its sha256 is {_OTHER}, not {_DIGEST}"),
    errors.MetadataDiffers(_WHEEL, _DIGEST, _OTHER),
    errors.StoreUnwritable("/srv/mirror", "Permission denied"),
    errors.StoreUnreadable("/srv/mirror/packages/2c/26", "Input/output error"),
    errors.OutOfSpace("/srv/mirror", 4_000_000, 1_200_000),
    errors.Locked("/srv/mirror/.pypim/lock", "process 4711 on build-1"),
    errors.SchemaTooNew("/srv/mirror/.pypim/catalog.sqlite", 2, 1),
    errors.CorruptCatalog("/srv/mirror/.pypim/catalog.sqlite", "file is not a database"),
    access_errors.CredentialsNeeded("internal"),
    access_errors.WrongCredentials("internal"),
    access_errors.NotPermitted("alice", "upload", "internal", "acme-app"),
    access_errors.TooManyAttempts("192.0.2.7", 6),
    access_errors.IdentityRejected(
        "invalid-publisher", "valid token, but no corresponding publisher: no publisher has its audience and its claims"
    ),
    request_errors.NotAcceptable("application/vnd.pypi.simple.v2+json"),
    request_errors.MethodNotAllowed("POST"),
    request_errors.InvalidPath("/main/simple/flask%2F.."),
    request_errors.InvalidRequest("the query", "'limit' is no number"),
    request_errors.FileNotListed(f"packages/{_DIGEST[:2]}/{_DIGEST[2:4]}/{_DIGEST[4:]}/{_WHEEL}", "main"),
    request_errors.RequestTooLong("a requirements file", 1 << 20),
    request_errors.RequestTimeout(60),
    upload_errors.InvalidUpload(_WHEEL, ["METADATA: Requires-Dist 'b>=1.*' is not valid; perhaps 'b>=1' is meant"]),
    upload_errors.InvalidChange("the body cannot be read: JSON is malformed"),
    upload_errors.UploadTooLarge("the file", 100_000_000),
    upload_errors.ActionGone("submit"),
    upload_errors.FileExistsDiffers(_WHEEL, _DIGEST),
    upload_errors.UploadRefused("flask", "the project is archived and takes no uploads"),
    upload_errors.NotHosted("internal", "release 3.1.4 of flask"),
)


def kinds() -> Iterator[type[errors.PypimError]]:
    """Every error there is: families in the order of the file, each followed by its members."""
    waiting: list[type[errors.PypimError]] = [errors.PypimError]
    while waiting:
        kind = waiting.pop(0)
        yield kind
        ours = [member for member in kind.__subclasses__() if member.__module__.startswith("pypim.core.")]
        ours.sort(key=lambda member: (member.__module__ != errors.__name__, member.__module__))  # whoever came first
        waiting = [*ours, *waiting]
