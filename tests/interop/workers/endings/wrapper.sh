#!/bin/sh
# wrapper.sh exec|child PROGRAM...: what people write before their server.
how=$1
shift
if [ "$how" = exec ]; then exec "$@"; fi
"$@"
echo "ended with $?" >&2
