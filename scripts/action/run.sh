#!/usr/bin/env bash
# Runs promptkeel for action.yml: every report into one folder, the verdict into the step's outputs. Ends with 0 whatever the verdict is: the cache, the artifact and the
# comment come behind it, and verdict.sh has the last word.
#
# Reads BINARY (empty: the one that build.sh left), SUITES, ENDPOINT, ARGUMENTS, REPORTS (a folder, relative to the project), and of GitHub: GITHUB_EVENT_NAME
# GITHUB_OUTPUT HOME.
set -euo pipefail
BINARY=${BINARY:-$HOME/.cache/promptkeel-action/promptkeel}

# Words as a shell would part them, quotes respected; nothing in them is expanded or run.
words=()
split() {
  words=()
  if [ -z "${2//[[:space:]]/}" ]; then return; fi
  local parted
  # Line breaks part words like blanks do, so each word is a line.
  parted=$(printf '%s' "$2" | tr '\n\r\t' '   ' | xargs printf '%s\n') || {
    printf '::error title=promptkeel::the input "%s" has a quote that is never closed\n' "$1"
    exit 2
  }
  while IFS= read -r word; do words+=("$word"); done <<<"$parted"
}
split args "${ARGUMENTS:-}"
arguments=(${words[@]+"${words[@]}"})
split suites "${SUITES:-}"
suites=(${words[@]+"${words[@]}"})
if [ -n "${ENDPOINT:-}" ]; then arguments+=(--endpoint "$ENDPOINT"); fi

# Pull requests of forks and of dependency bots get no secrets. What is stored can be judged all the same; elsewhere a missing key is a mistake, and `run` says so.
case " ${arguments[*]-} " in
  *' --cache'*) ;;
  *)
    if [ "${GITHUB_EVENT_NAME:-}" = pull_request ]; then
      plan=("$BINARY" plan --json)
      if [ -n "${ENDPOINT:-}" ]; then plan+=(--endpoint "$ENDPOINT"); fi
      # What is wrong with the project `run` will say.
      missing=$("${plan[@]}" -- ${suites[@]+"${suites[@]}"} 2>/dev/null | jq -r '.missing_keys | join(", ")' 2>/dev/null) || missing=
      if [ -n "$missing" ]; then
        # A variable's name is letters, digits and underscores: nothing of it can be a command.
        printf '::warning title=promptkeel%%3A no key::%s is not set, as in pull requests of forks, so only stored answers are judged (--cache only). Cells without one have no verdict.\n' "$missing"
        arguments+=(--cache only)
      fi
    fi
    ;;
esac

mkdir -p "$REPORTS"
# A report of an earlier attempt must not pass for this one's.
rm -f "$REPORTS"/run.json "$REPORTS"/junit.xml "$REPORTS"/report.html "$REPORTS"/comment.md
code=0
"$BINARY" run --json "$REPORTS/run.json" --junit "$REPORTS/junit.xml" --html "$REPORTS/report.html" --markdown "$REPORTS/comment.md" \
  ${arguments[@]+"${arguments[@]}"} -- ${suites[@]+"${suites[@]}"} || code=$?

# As the run report says it; without one, what the exit code means.
verdict=$(jq -r '.exit // empty' "$REPORTS/run.json" 2>/dev/null) || verdict=
case "$verdict:$code" in
  holds:0 | fails:1 | missing_verdicts:3 | nothing_selected:4 | not_written:5 | budget:6 | undecided:7 | interrupted:130) ;;
  *)
    case "$code" in
      0) verdict=holds ;;
      1) verdict=fails ;;
      2) verdict=invalid ;;
      3) verdict=missing_verdicts ;;
      4) verdict=nothing_selected ;;
      5) verdict=not_written ;;
      6) verdict=budget ;;
      7) verdict=undecided ;;
      130) verdict=interrupted ;;
      *) verdict=crashed ;;
    esac
    ;;
esac

{
  printf 'exit-code=%s\n' "$code"
  printf 'verdict=%s\n' "$verdict"
  printf 'reports=%s\n' "$(cd "$REPORTS" && pwd)"
} >>"$GITHUB_OUTPUT"
