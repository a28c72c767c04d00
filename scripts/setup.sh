#!/bin/sh
# Makes .venv: the locked dependencies, and this checkout installed into it. "setup.sh dev" adds the tools for work on it;
# "setup.sh letta-code" puts the client that tests/letta_code drives into an environment of its own.
#
# A machine needs Python 3.11 or newer and nothing else; uv is used if it is there, and put into .venv if not. Versions and
# hashes come from uv.lock, but the files from whichever index pip or uv is set up for, so that a mirror works.
set -eu
cd "$(dirname "$0")/.."

suits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1
}

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if suits "$name"; then
            echo "$name"
            return
        fi
    done
}

make_venv() {
    python=$(find_python)
    if [ -n "$uv" ]; then
        "$uv" venv --quiet --clear --python "${python:-3.13}" .venv
    elif [ -n "$python" ]; then
        "$python" -m venv --clear .venv
    else
        echo "Loci needs Python 3.11 to 3.14, and none was found. Install one, or name it: make PYTHON=/path/to/python" >&2
        exit 1
    fi
}

uv=$(command -v uv || true)
suits .venv/bin/python || make_venv

pip_setting() { # "pip config get" reads one file only, "list" all of them
    .venv/bin/python -m pip config list 2>/dev/null | sed -n "s/^global\.$1='\(.*\)'\$/\1/p"
}

# What pip has been told about the network holds for uv too, unless uv has been told something else.
UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-${PIP_DEFAULT_TIMEOUT:-120}}
index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-$(pip_setting index-url)}}}
certificates=${SSL_CERT_FILE:-${PIP_CERT:-$(pip_setting cert)}}
export UV_HTTP_TIMEOUT ${index:+UV_DEFAULT_INDEX="$index"} ${certificates:+SSL_CERT_FILE="$certificates"}

if [ -z "$uv" ]; then
    uv=$PWD/.venv/bin/uv
    [ -x "$uv" ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
fi

if [ "${1:-}" = letta-code ]; then
    cd tests/letta_code
    "$uv" venv --quiet --clear --python ../../.venv/bin/python .venv
    exec "$uv" pip install --quiet --python .venv/bin/python --require-hashes --requirement requirements.txt
fi

groups=--no-dev
[ "${1:-}" = dev ] && groups="--group dev"
# shellcheck disable=SC2086  # two words on purpose
"$uv" export --frozen --quiet --no-header --no-emit-project $groups --output-file .venv/requirements.txt
"$uv" pip install --quiet --python .venv/bin/python --requirement .venv/requirements.txt
"$uv" pip install --quiet --python .venv/bin/python --no-deps --editable .

# What a start imports is compiled now, so that the first one is as fast and small as every other.
PYTHONDONTWRITEBYTECODE='' .venv/bin/python -c 'import loci.cli.server'
