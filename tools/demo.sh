#!/bin/sh
# The main job, end to end: mirror flask for this machine, install it from the mirror with no other index, run it.
set -eu

pypim=.venv/bin/pypim
mirror=./demo-mirror
venv=./demo-venv

echo "1. Mirror flask and everything it needs on this machine into $mirror"
"$pypim" sync flask --to "$mirror"

echo
echo "2. Install it from the mirror alone into a fresh virtual environment"
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
# No configuration file and no variable of pip's may bring in another index.
for name in $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
PIP_CONFIG_FILE=/dev/null "$venv/bin/python" -m pip install --disable-pip-version-check --no-cache-dir \
  --index-url "file://$(pwd)/demo-mirror/simple/" flask

echo
echo "3. Run it"
"$venv/bin/python" - <<'PY'
import flask
from importlib.metadata import version

application = flask.Flask("demo")


@application.get("/")
def hello() -> str:
    return f"Hello from flask {version('flask')}, installed from your own mirror."


print(application.test_client().get("/").text)
PY
