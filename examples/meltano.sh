#!/usr/bin/env bash
# Runs Meltano so that it can be stopped: ./meltano.sh run tap-toloka target-postgres
#
# On SIGTERM, SIGINT or SIGHUP it stops the tap, which writes a checkpoint, and waits until the
# target has loaded what is left and Meltano has saved the checkpoint: see docs/scheduling.md.
# It needs pkill and pgrep, from the package procps.
set -m  # Meltano gets a process group of its own, so Ctrl-C does not reach it
meltano "$@" &

stop() {
    trap '' INT TERM HUP
    pkill -TERM -P $! -f bin/tap-toloka && return
    # The tap has ended already, or has not started yet.
    while pgrep -P $! -f bin/target-; do sleep 1; done >/dev/null
    kill $!
}
trap stop INT TERM HUP

# `wait` also returns when a trap has run.
until wait $!; status=$?; ! kill -0 $! 2>/dev/null; do :; done
exit $status
