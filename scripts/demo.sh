#!/usr/bin/env bash
# From nothing to an answer and back: boots real hosts, provisions them over SSH, asks the served model a question,
# provisions again (which must change nothing) and rolls the run back. `make demo` calls it; KEEP=1 leaves the hosts up.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || exec sudo KEEP="${KEEP:-}" WXOPS_LAB_SUBNET="${WXOPS_LAB_SUBNET:-}" "$0"   # booting hosts needs root

export WXOPS_LAB=demo WXOPS_LAB_SUBNET=${WXOPS_LAB_SUBNET:-10.81.0.0/24}
bin=$PWD/.venv/bin
project=$(mktemp --directory --suffix=-wxops-demo)
question=你是谁？

finish() {
    if [ "${KEEP:-}" = 1 ]; then
        echo "Kept: the hosts (WXOPS_LAB=demo wxops lab status) and the project $project"
    else
        "$bin/wxops" lab down
        rm -rf "$project"
    fi
}
trap finish EXIT

# step TITLE COMMAND...: says what it does and how long it took; what the command prints is shown if it fails.
step() {
    local title=$1 start=$EPOCHREALTIME
    shift
    printf '%-62s' "$title"
    if ! "$@" >"$project/output" 2>&1; then
        echo "failed"
        tail --lines=40 "$project/output"
        exit 1
    fi
    awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%6.1f s\n", end - start }'
}

indented() { sed 's/^/    /'; }

recap() { sed --quiet '/^PLAY RECAP/,/^$/ { /ok=/p }' "$project/output" | indented; }

run_id() { sed --quiet 's/^run //p' "$project/output"; }

image() {
    "$bin/python" -c '
from wxops.lab import Lab
from wxops.lab.image import runtime_image
print(runtime_image(Lab().registry.address))'
}

step "Boot two hosts and a registry (the first time: build Debian)" "$bin/wxops" lab up 2
step "Build the server's image and push it (the first time: 3 min)" image
digest=$(cat "$project/output")
step "Make a tiny ERNIE 4.5 checkpoint" "$bin/wxruntime" tiny "$project/model"

cat >"$project/wxops.toml" <<END
inventory = "$("$bin/wxops" lab inventory)"
output = "plain"
END
cat >"$project/settings.yml" <<END
runtime_image: $digest
runtime_model_src: $project/model
runtime_smoke: true
END
cd "$project"
provision=("$bin/wxops" provision --extra-vars @settings.yml)

step "Foresee what provisioning would change (--check)" "${provision[@]}" --check
recap
step "Provision both hosts over SSH" "${provision[@]}"
recap
run=$(run_id)

request="{\"model\": \"ernie\", \"messages\": [{\"role\": \"user\", \"content\": \"$question\"}]}"
step "Ask the container on demo1 with curl" \
    "$bin/wxops" lab ssh demo1 "curl --silent --fail --data '$request' localhost:8000/v1/chat/completions"
echo "    $question"
"$bin/python" -c 'import json, sys; print("   ", json.load(sys.stdin)["choices"][0]["message"]["content"])' \
    <"$project/output"

step "Provision again" "${provision[@]}"
recap
if recap | grep --quiet --invert-match ' changed=0 '; then
    echo "The second run changed something: it must not." >&2
    exit 1
fi

step "Roll the first run back" "$bin/wxops" rollback "$run"
recap
step "Look back" "$bin/wxops" runs list
indented <"$project/output"
