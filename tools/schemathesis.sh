#!/bin/sh
# Make .clients/schemathesis, the environment of the program that attacks the API by its own description. It is no
# dependency of pypim: `make slow` uses it where it is there. Run from the project's root.
set -eu

python3 -m venv .clients/schemathesis
.clients/schemathesis/bin/python -m pip install --quiet --disable-pip-version-check 'schemathesis>=4,<5'
