# shellcheck shell=bash
# For scripts that need Python packages; `source` it.

# make_venv FOLDER REQUIREMENTS [OPTION...]: a virtual environment with just these packages, made
# anew whenever the requirements or the interpreter change. The options are pip's.
make_venv() {
    local venv=$1 requirements=$2 stamp
    shift 2
    stamp=$( (cat "$requirements"; python3 --version) | sha256sum | cut -d ' ' -f 1)
    if [[ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]]; then
        rm -rf "$venv"
        mkdir -p "$(dirname "$venv")"
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --only-binary :all: "$@" --requirement "$requirements" >&2
        printf '%s\n' "$stamp" >"$venv/stamp"
    fi
}
