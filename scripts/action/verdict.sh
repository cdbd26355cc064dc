#!/usr/bin/env bash
# The last step of action.yml: does the job fail?
#
# Reads POLICY (gate, regression or never), EXIT_CODE, and JUDGED: how many cells have a verdict.
set -euo pipefail

code=${EXIT_CODE:-1}
case "$POLICY" in
  gate) exit "$code" ;;
  regression)
    case "$code" in
      # A verdict is missing, the budget ended the run, the samples cannot decide: no regression was found.
      3 | 6 | 7)
        # Who judges nothing finds nothing either: a key that is never there would be green for ever.
        if [[ ! "${JUDGED:-}" =~ ^[1-9][0-9]*$ ]]; then
          printf '::error title=promptkeel%%3A nothing was judged::exit %s, and no cell has a verdict, so nobody knows of a regression (fail-policy: regression)\n' "$code"
          exit "$code"
        fi
        printf 'exit %s is no regression, so this job does not fail (fail-policy: regression)\n' "$code"
        ;;
      *) exit "$code" ;;
    esac
    ;;
  never) printf 'exit %s; this job does not fail (fail-policy: never)\n' "$code" ;;
  *)
    printf '::error title=promptkeel::fail-policy is gate, regression or never\n'
    exit 2
    ;;
esac
