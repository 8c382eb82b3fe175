#!/bin/sh
# Installs locked dependencies and labelferry itself into a virtual environment, which it makes first where there is none.
# Usage: install.sh PYTHON VENV REQUIREMENTS. Works where python3 has no ensurepip and where a global pip install is refused.
set -eu
python=$1
venv=$2
requirements=$3

say() { echo "labelferry: $*" >&2; }

command -v "$python" >/dev/null 2>&1 || { say "there is no $python here: install Python 3.11 or newer, or name yours with 'make PYTHON=...'"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { say "$("$python" --version) is too old: labelferry needs Python 3.11 or newer; name one with 'make PYTHON=...'"; exit 1; }

say "preparing $venv with what $requirements names (once)"
[ -x "$venv/bin/python" ] || rm -rf "$venv"
if [ -x "$venv/bin/pip" ] || { "$python" -c 'import ensurepip' 2>/dev/null && "$python" -m venv "$venv" 2>/dev/null; }; then
    install="$venv/bin/python -m pip install"
elif "$python" -m venv --without-pip "$venv" 2>/dev/null && "$python" -m pip --version >/dev/null 2>&1; then
    install="$python -m pip --python $venv/bin/python install"
else
    rm -rf "$venv"
    say "this Python can make no virtual environment and has no pip: install both (Debian, Ubuntu: apt install python3-venv python3-pip)"
    exit 1
fi
$install --quiet --disable-pip-version-check --require-hashes -r "$requirements" ||
    { say "the dependencies could not be installed: see pip's words above (no network? no disk?)"; exit 1; }
$install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ||
    { say "labelferry itself could not be installed: see pip's words above"; exit 1; }
