#!/bin/sh
# The peer's own virtual environment (6.4 GB): sh environment.sh <folder>. PYTHON is who makes it.
set -eu
here=$(dirname "$0")
environment=$1
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$here/constraints.txt" --requirement "$here/requirements.txt"
touch "$environment/.ready"
