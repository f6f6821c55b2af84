#!/bin/sh
# Installs what some tests and the measurements need besides Python, on Debian and its relatives. Run it as root.
set -eu
apt-get update
apt-get install -y --no-install-recommends nginx caddy sqlite3 graphviz curl wrk
