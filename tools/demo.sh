#!/bin/sh
# The main job, end to end: mirror flask for this machine, install it from the mirror with no other index, run it.
set -eu

pypim=.venv/bin/pypim
mirror=./demo-mirror
venv=./demo-venv
index="file://$(pwd)/demo-mirror/simple/"

echo "1. Mirror flask, and all it needs on this machine, into $mirror"
echo "   pypim sync flask --to $mirror"
"$pypim" sync flask --to "$mirror"

echo
echo "2. Install it from there into an empty environment, $venv; pip is given no other index"
echo "   pip install --index-url $index flask"
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
# No configuration file and no variable of pip's may bring in another index.
for name in $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
"$venv/bin/python" -m pip install --quiet --index-url "$index" flask
"$venv/bin/python" -m pip freeze | sed 's/^/   /'

echo
echo "3. Run it"
"$venv/bin/python" - <<'PY'
import flask
from importlib.metadata import version

application = flask.Flask("demo")


@application.get("/")
def hello() -> str:
    return f"Hello from flask {version('flask')}, installed from your own mirror."


print("  ", application.test_client().get("/").text)
PY

echo
echo "Try next: $pypim why markupsafe --to $mirror"
