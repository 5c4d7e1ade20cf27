#!/bin/sh
# Make the virtual environment of the Makefile's commands, or say in one line why that cannot be done.
# setup.sh PYTHON VENV: nothing happens if VENV already has the pinned packages and this checkout's `vertex-launch`.
set -eu
python=$1 venv=$2 here=$(pwd -P)
pins="requirements.txt constraints.txt requirements-deploy.txt constraints-deploy.txt requirements-dev.txt constraints-dev.txt"
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
version='import sys; print(sys.version.split()[0])'

# What VENV is made of. The head of pyproject.toml defines the command; its rest configures tools and installs nothing.
installed() {
  # shellcheck disable=SC2086
  cat $pins
  sed '/^\[tool\.ruff\]/,$d' pyproject.toml
}

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# what a shell may hold for another Python, or for a pip of its own
for name in $(env | sed -n -e 's/^\(PYTHON[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
unset PIP_TARGET PIP_PREFIX PIP_USER PIP_ROOT PIP_NO_DEPS PIP_REQUIREMENT PIP_CONSTRAINT PIP_REQUIRE_HASHES
export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}" # an index of this machine; another is reached as the shell says
export NO_PROXY="$no_proxy"

if [ -e "$venv" ] || [ -L "$venv" ]; then
  [ -e "$venv" ] || fail "$venv is a link to a folder that does not exist. Remove the link: rm '$venv'"
  "$venv/bin/python" -c '' 2>/dev/null ||
    fail "$venv is broken: its Python does not start. Remove it (make clean) and try again."
  "$venv/bin/python" -c "$new_enough" ||
    fail "$venv has Python $("$venv/bin/python" -c "$version"); 3.11 or newer is needed. Remove it: make clean"
  if installed | cmp -s - "$venv/.ready"; then
    if [ -L "$venv" ] || [ "$(cat "$venv/.checkout" 2>/dev/null)" = "$here" ]; then exit 0; fi
  fi
  [ ! -L "$venv" ] || fail "$venv is a link to an environment without the pinned packages. Remove the link: rm '$venv'"
  "$venv/bin/python" -c 'import pip' 2>/dev/null || fail "$venv is broken: it has no pip. Remove it (make clean) and try again."
else
  command -v "$python" >/dev/null || fail "There is no $python here. Install Python 3.11 or newer, or name it: make PYTHON=…"
  "$python" -c "$new_enough" ||
    fail "Python 3.11 or newer is needed, $python is $("$python" -c "$version"). Name another: make PYTHON=python3.12 …"
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"
  mkdir -p "$venv" 2>/dev/null || fail "$venv cannot be written. Name another folder: make VENV=/tmp/venv …"
  "$python" -m venv "$venv" || { rm -rf "$venv"; exit 1; }
fi
home=$("$venv/bin/python" -c 'import sys; print(sys.prefix)')
[ ! -e "$venv/bin/pip" ] || grep -qF "$home/bin/" "$venv/bin/pip" ||
  fail "$venv was moved or copied: its commands start a Python of another folder. Remove it (make clean) and try again."
printf '%s\n' "Setting up $venv (once; about half a minute) …"
rm -f "$venv/.ready"
# Without warnings: setuptools takes our folders of data for packages that it leaves out.
pip() { PYTHONWARNINGS=ignore "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
pip --require-hashes -r requirements-dev.txt ||
  fail "The packages could not be installed: pip needs a package index (PIP_INDEX_URL) that serves PyPI's own files, the way to it (HTTPS_PROXY) and room on the disk."
# No isolation: setuptools is among the packages, so this step needs no index.
pip --no-deps --no-build-isolation --editable . ||
  fail "The command vertex-launch could not be installed from $here: see above."
printf '%s\n' "$here" >"$venv/.checkout"
installed >"$venv/.ready"
