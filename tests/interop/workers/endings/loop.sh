#!/bin/sh
# A worker without a port: it works until it is told to end, and says so.
trap 'echo end; exit 0' TERM
echo begin
while :; do sleep 0.1; done
