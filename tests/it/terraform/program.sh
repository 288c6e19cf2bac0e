#!/bin/sh
# Pretends to be Terraform or OpenTofu, whichever name links to it: notes what it is asked, and says what the files
# beside the link tell it to say.

# A shell cannot trap what was ignored when it began, as whatever is started in the background ignores interrupts.
if [ -z "$heeds" ] && env --default-signal=INT true 2>/dev/null; then
    exec env --default-signal=INT heeds=interrupts "$0" "$@"
fi
here=$(dirname "$0")
echo "$@" >> "$here/calls"
env | sort > "$here/env"
[ "$1" = version ] && { cat "$here/version-$(basename "$0")"; exit 0; }
if [ -f "$here/slow-$1" ]; then
    trap 'echo interrupted >> "$here/calls"; [ -f "$here/stubborn" ] || exit 1' INT
    echo $$ > "$here/pid"
    touch "$here/started"
    while :; do sleep 0.05; done
fi
[ -f "$here/$1.out" ] && cat "$here/$1.out"
[ -f "$here/$1.err" ] && cat "$here/$1.err" >&2
exit "$(cat "$here/$1.code" 2>/dev/null || echo 0)"
