#!/usr/bin/env bash
# Sets up everything: system packages that are missing, the environment in .venv, the pinned packages.
# Safe to run again; does nothing where nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }

system_packages() { # what is missing of what the project needs from the system
    local missing=()
    "$python" -c 'import ensurepip' 2>/dev/null || missing+=("$(basename "$python")-venv")
    java -version >/dev/null 2>&1 || missing+=(default-jre-headless)
    command -v mvn >/dev/null || missing+=(maven)
    [ ${#missing[@]} -eq 0 ] && return
    local sudo=""
    [ "$(id -u)" -eq 0 ] || { sudo="sudo -n"; command -v sudo >/dev/null || sudo="none"; }
    if ! command -v apt-get >/dev/null || [ "$sudo" = none ] || { [ -n "$sudo" ] && ! $sudo true 2>/dev/null; }; then
        say "Missing and not installable here without rights: ${missing[*]}."
        say "Install them with: apt-get install ${missing[*]}"
        say "Without Java and Maven the stack uses the embedded development broker instead of Apache Kafka."
        return
    fi
    say "Installing system packages: ${missing[*]}"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" |
        awk '/^(Get:|Setting up)/'
}

find_python() { # the newest interpreter that Airflow and we support
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Tandem needs Python 3.11, 3.12 or 3.13; install one of them (apt-get install python3 python3-venv)." >&2
    exit 1
}

stamp=.venv/.installed
wanted=$(cat pyproject.toml constraints.txt infra/install.sh | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi
python=$(find_python)
system_packages
say "Creating .venv with $("$python" --version)"
"$python" -m venv --clear .venv
say "Installing packages (about 240, pinned in constraints.txt)"
.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt uv
certificates=--no-system-certs
[ -f /etc/ssl/certs/ca-certificates.crt ] && certificates=--system-certs # also those of a company's proxy
.venv/bin/uv pip install "$certificates" --python .venv/bin/python -c constraints.txt -e '.[dev]' \
    2> >(grep -v '^ [+~-] ' >&2)
printf '%s' "$wanted" >"$stamp"
say "Installed."
