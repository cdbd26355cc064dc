#!/usr/bin/env bash
# Runs promptkeel for action.yml: every report into one folder, the verdict into the step's outputs. Ends with 0 whatever the verdict is: the cache, the artifact and the
# comment come behind it, and verdict.sh has the last word.
#
# Reads BINARY (empty: the one that build.sh left), SUITES, ENDPOINT, ARGUMENTS, REPORTS (a folder, relative to the project), and of GitHub: GITHUB_ACTOR
# GITHUB_EVENT_PATH GITHUB_OUTPUT GITHUB_REPOSITORY GITHUB_STEP_SUMMARY HOME.
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

# Pull requests of forks and of Dependabot get no secrets: `run` judges what is stored where a key is missing, and says so. Elsewhere a missing key is a mistake.
secretless() {
  if [ "${GITHUB_ACTOR:-}" = 'dependabot[bot]' ]; then return 0; fi
  # A fork that is deleted has no name any more.
  local foreign
  foreign=$(jq --arg here "${GITHUB_REPOSITORY:-}" '.pull_request != null and .pull_request.head.repo.full_name != $here' "${GITHUB_EVENT_PATH:-/dev/null}" 2>/dev/null) || return 1
  [ "$foreign" = true ]
}
case " ${arguments[*]-} " in
  *' --cache'* | *' --without-key'*) ;;
  *) if secretless; then arguments+=(--without-key stored); fi ;;
esac

mkdir -p "$REPORTS"
# A report of an earlier attempt must not pass for this one's.
rm -f "$REPORTS"/run.json "$REPORTS"/junit.xml "$REPORTS"/report.html "$REPORTS"/comment.md
code=0
summary=${GITHUB_STEP_SUMMARY:-}
before=0
if [ -f "$summary" ]; then before=$(wc -c <"$summary"); fi
# What does not start judges nothing, whatever it ends with.
if problem=$("$BINARY" --version 2>&1 >/dev/null); then
  "$BINARY" run --json "$REPORTS/run.json" --junit "$REPORTS/junit.xml" --html "$REPORTS/report.html" --markdown "$REPORTS/comment.md" \
    ${arguments[@]+"${arguments[@]}"} -- ${suites[@]+"${suites[@]}"} || code=$?
  # A run that ended early has told the job's page why; the pull request is told the same, or a report of an earlier push would stand there as this one's.
  if [ ! -s "$REPORTS/comment.md" ] && [ -f "$summary" ]; then
    tail -c "+$((before + 1))" "$summary" | sed '1{/^$/d;}' >"$REPORTS/comment.md"
  fi
else
  code=$?
  problem=${problem//'%'/%25}
  problem=${problem//$'\r'/%0D}
  printf '::error title=promptkeel%%3A the binary does not start::%s\n' "${problem//$'\n'/%0A}"
fi

# As the run report says it; without one, what the exit code means.
verdict=$(jq -r '.exit // empty' "$REPORTS/run.json" 2>/dev/null) || verdict=
judged=$(jq -r '.totals.passed + .totals.failed' "$REPORTS/run.json" 2>/dev/null) || judged=
case "$verdict:$code" in
  holds:0 | fails:1 | missing_verdicts:3 | nothing_selected:4 | not_written:5 | budget:6 | undecided:7 | interrupted:130) ;;
  *)
    case "$code" in
      2) verdict=invalid ;;
      3) verdict=missing_verdicts ;;
      4) verdict=nothing_selected ;;
      5) verdict=not_written ;;
      6) verdict=budget ;;
      7) verdict=undecided ;;
      130) verdict=interrupted ;;
      # That the gate holds or fails is what a report says, and nothing else: a loader that finds no library ends with 1 as well.
      *)
        verdict=crashed
        if [ "$code" = 0 ]; then code=1; fi
        ;;
    esac
    ;;
esac

{
  printf 'exit-code=%s\n' "$code"
  printf 'verdict=%s\n' "$verdict"
  printf 'judged=%s\n' "${judged:-0}"
  printf 'reports=%s\n' "$(cd "$REPORTS" && pwd)"
} >>"$GITHUB_OUTPUT"
