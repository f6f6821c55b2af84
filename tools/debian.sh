#!/bin/sh
# Installs what the measurements need besides Python, on Debian and its relatives. Run it as root.
set -eu
apt-get update
apt-get install -y --no-install-recommends nginx curl
