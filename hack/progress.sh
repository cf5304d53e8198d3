#!/usr/bin/env bash
# Usage: hack/progress.sh MESSAGE COMMAND [ARGUMENT...]
# Runs a command that takes long and prints nothing, and says every 15 seconds
# that it is still at work.
set -euo pipefail
message=$1
shift
begin=$SECONDS
"$@" &
command=$!
trap 'kill "$command" 2>/dev/null || true' EXIT INT TERM
(while sleep 15; do echo "    ... $message ($((SECONDS - begin)) s)"; done) &
ticker=$!
status=0
wait "$command" || status=$?
kill "$ticker" 2>/dev/null || true
trap - EXIT
exit "$status"
