#!/usr/bin/env bash
# The last step of action.yml: does the job fail?
#
# Reads POLICY (gate, regression or never) and EXIT_CODE.
set -euo pipefail

code=${EXIT_CODE:-1}
case "$POLICY" in
  gate) exit "$code" ;;
  regression)
    case "$code" in
      # A verdict is missing, the budget ended the run, the samples cannot decide: no regression was found.
      3 | 6 | 7) printf 'exit %s is no regression, so this job does not fail (fail-policy: regression)\n' "$code" ;;
      *) exit "$code" ;;
    esac
    ;;
  never) printf 'exit %s; this job does not fail (fail-policy: never)\n' "$code" ;;
  *)
    printf '::error title=promptkeel::fail-policy is gate, regression or never\n'
    exit 2
    ;;
esac
