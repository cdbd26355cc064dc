#!/usr/bin/env bash
# Puts a report into the pull request: one comment, which every further run replaces. Whatever GitHub answers, it ends with 0: a comment that cannot be written is a
# warning with its cause, and never costs a verdict.
#
# Reads COMMENT (the Markdown page), NAME (one comment a name), TOKEN, VERDICT (where there is no page), and of GitHub: GITHUB_API_URL GITHUB_REPOSITORY GITHUB_EVENT_PATH GITHUB_SERVER_URL GITHUB_RUN_ID.
set -euo pipefail

# The message of a workflow command, as the runner reads it back.
escaped() {
  local text=$1
  text=${text//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '%s' "${text//$'\n'/%0A}"
}

without_comment() {
  printf '::warning title=promptkeel%%3A no comment::%s\n' "$(escaped "the pull request has no new comment: $1; the job summary and the artifact have the report")"
  exit 0
}
folder=$(mktemp -d)
ended() {
  local code=$?
  rm -rf "$folder"
  if [ "$code" != 0 ]; then without_comment 'comment.sh ended in the middle'; fi
}
trap ended EXIT

[[ "$NAME" =~ ^[A-Za-z0-9._-]{1,64}$ ]] || without_comment 'comment-name may have letters, digits, dots, underscores and dashes, 64 at most'
number=$(jq -r '.pull_request.number // .issue.number // empty' "$GITHUB_EVENT_PATH")
if [ -z "$number" ]; then
  echo 'no pull request belongs to this event: no comment'
  exit 0
fi
[[ "$number" =~ ^[0-9]+$ ]] || without_comment 'the number of the pull request is no number'

api="${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY"

# call METHOD URL [BODY-FILE]: the response into $folder/answer, its status into $status. The token goes by a file, so that no list of processes shows it.
printf 'header = "Authorization: Bearer %s"\n' "${TOKEN//[\"\\$'\r\n']/}" >"$folder/token"
call() {
  local body=()
  if [ $# = 3 ]; then body=(--data-binary "@$3" --header 'Content-Type: application/json'); fi
  # Only questions are repeated: an answer that was lost may have been a comment that was written.
  if [ "$1" = GET ]; then body+=(--retry 2); fi
  problem=
  status=$(curl --silent --show-error --config "$folder/token" --request "$1" --header 'Accept: application/vnd.github+json' \
    --header 'X-GitHub-Api-Version: 2022-11-28' --user-agent promptkeel --connect-timeout 10 --max-time 30 \
    --output "$folder/answer" --write-out '%{http_code}' ${body[@]+"${body[@]}"} "$2" 2>"$folder/problem") || problem=$(<"$folder/problem")
}

# What went wrong in the server's own words, or in curl's.
cause() {
  if [ -n "$problem" ]; then
    printf '%s' "$problem"
  else
    printf 'GitHub answered %s: %s' "$status" "$(jq -r '.message // "no message"' "$folder/answer" 2>/dev/null | head -c 300)"
    if [ "$status" = 403 ]; then printf ' (the job needs the permission "pull-requests: write"; pull requests of forks never have it)'; fi
  fi
}

# The page begins with a mark of its own; ours has a name, so that several jobs have a comment each. A page of a run that ended early may be larger than a comment, which holds
# 65,536 characters (more bytes are not more characters). Without a page, what an earlier push came to must not stand there as this one's.
mark="<!-- promptkeel: $NAME -->"
reported=yes
if [ ! -s "$COMMENT" ]; then reported=no; fi
{
  printf '%s\n' "$mark"
  if [ "$reported" = yes ] && [ "$(jq -n --rawfile page "$COMMENT" '$page | length')" -le 65300 ]; then
    sed '1{/^<!-- promptkeel: .*-->$/d;}' "$COMMENT"
  else
    ended=$(printf '%s' "${VERDICT:-nothing was run}" | tr -cd 'a-z_ ')
    printf '## ❌ promptkeel: no report\n\nThe last run ended before there was a report that a comment can hold (%s). Its log says why.\n' "\`$ended\`"
  fi
  if [ -n "${GITHUB_RUN_ID:-}" ]; then
    printf '\n<sub>[Run and reports](%s/%s/actions/runs/%s)</sub>\n' "${GITHUB_SERVER_URL:-https://github.com}" "$GITHUB_REPOSITORY" "$GITHUB_RUN_ID"
  fi
} >"$folder/page"
jq -n --rawfile body "$folder/page" '{body: $body}' >"$folder/body"

# Who are we? A token of Actions may not ask, and writes as a bot. Somebody else's comment is never taken for ours, whatever it begins with.
call GET "${GITHUB_API_URL:-https://api.github.com}/user"
login=
if [ -z "$problem" ] && [ "$status" = 200 ]; then login=$(jq -r '.login // empty' "$folder/answer"); fi

ours=
for ((page = 1; page <= 30; page++)); do
  call GET "$api/issues/$number/comments?per_page=100&page=$page"
  if [ -n "$problem" ] || [ "$status" != 200 ]; then without_comment "$(cause)"; fi
  # Its id, and which run wrote it: that stands in the last line, behind everything that is a report's.
  found=$(jq -r --arg mark "$mark" --arg login "$login" '
    [.[] | select((.body // "") | startswith($mark))
         | select(if $login == "" then .user.type == "Bot" else .user.login == $login end)]
    | .[0] // empty | "\(.id) \(.body | [match("/actions/runs/([0-9]{1,18})\\)</sub>\\s*$").captures[0].string] | .[0] // 0)"' "$folder/answer")
  ours=${found%% *}
  if [ -n "$ours" ] || [ "$(jq length "$folder/answer")" -lt 100 ]; then break; fi
done

if [ -n "$ours" ] && [[ "${GITHUB_RUN_ID:-}" =~ ^[0-9]{1,18}$ ]] && ((${found##* } > GITHUB_RUN_ID)); then
  echo 'a later run has written the comment already: it stays'
  exit 0
fi
if [ -z "$ours" ] && [ "$reported" = no ]; then without_comment 'there is no report: nothing was run'; fi
if [ -n "$ours" ]; then
  call PATCH "$api/issues/comments/$ours" "$folder/body"
  # Somebody deleted it since.
  if [ -z "$problem" ] && [ "$status" = 404 ]; then ours=; fi
fi
if [ -z "$ours" ]; then
  call POST "$api/issues/$number/comments" "$folder/body"
fi
if [ -n "$problem" ] || [[ "$status" != 20[01] ]]; then without_comment "$(cause)"; fi
printf 'comment: %s\n' "$(jq -r '.html_url // "written"' "$folder/answer" | tr -cd 'A-Za-z0-9:/._#-')"
