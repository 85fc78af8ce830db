# Sourced by scripts/test: reads the runner's records, counts cases and skips, holds them against Tests/skips and
# Tests/counts, and ends with the runner's own closing line. Wants $events $log $mode $status $fuzz_status $fields_status
# $record $filters and the times.

# The lines of the runner's, one a record: what went wrong, and what ended. The guest's come over its console.
lines=$log.lines
jq -r 'def line: gsub("[\\x00-\\x1f]"; " ");
  select(.kind == "event") | .payload
  | if .kind == "issueRecorded" then
      "✘ Test \(.testID) recorded an issue at \(.issue.sourceLocation | "\(.fileID):\(.line)"): \([.messages[].text] | join(" ") | line)"
    elif .kind == ("testEnded", "testSkipped", "runEnded") then
      .messages[] | "\({pass: "✔", passWithKnownIssue: "✔", fail: "✘", skip: "➜"}[.symbol] // .symbol) \(.text | line)"
    else empty end' "$events" >"$lines" || true

# Whether a condition that Tests/skips names holds on this machine, or in the guest.
where=host
flavour='' # of the guest
condition() {
  if [ $where = guest ]; then
    case $1 in always | v2-only) return 0 ;; no-systemd) [ "$flavour" = plain ]; return ;; *) return 1 ;; esac
  fi
  case $1 in
    always | host) true ;;
    no-landlock) ! .build/bin/zonectl features 2>/dev/null | grep -Eq '^landlock +yes .*ABI ([6-9]|[1-9][0-9])' ;;
    no-v2-controllers) ! grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null ;;
    no-sys-resource) ! ((0x$(awk '/^CapBnd/ { print $2 }' /proc/self/status) >> 24 & 1)) ;;
    no-systemd) [ ! -d /run/systemd/system ] ;;
    v2-only) [ ! -d /sys/fs/cgroup/memory ] ;;
    other-runc) ! runc --version 2>/dev/null | grep -q '^runc version 1\.1\.5+ds1' ;;
    no-tun) [ ! -c /dev/net/tun ] ;;
    no-project-quotas) ! { zcat /proc/config.gz || cat "/boot/config-$(uname -r)"; } 2>/dev/null | grep -q '^CONFIG_QFMT_V2=[ym]' ;;
    runtime-only) runtime_only ;;
    *) fail "Tests/skips names a condition that is not known: $1" ;;
  esac
}

# The entry of Tests/skips that allows the skip of this case, or nothing. A line: CONDITION | CASE (a glob) | why
allowed() {
  local when case why
  while IFS='|' read -r when case why; do
    when=${when//[[:space:]]/} case=$(sed 's/^ *//; s/ *$//' <<<"$case")
    [ -n "$when" ] && [ "${when:0:1}" != '#' ] || continue
    # shellcheck disable=SC2053 # the entry is a pattern
    if [[ $1 == $case ]] && condition "$when"; then
      printf '%s:%s' "$when" "$why"
      return
    fi
  done <Tests/skips
}

# "Test foo() passed", "Test foo(x:) with 3 test cases passed": one line a test, its cases in the line. The mark that
# leads the line is left to the runner, for it differs between terminals. A known issue counts as passed.
count_lines() { # verb log
  { grep -aE "^[^ ]+ +Test .* $1 after [0-9.]+ seconds" "$2" || true; } | { grep -vE '^[^ ]+ +Test run with ' || true; } |
    awk '{ n = 1; if (match($0, /with [0-9]+ test cases? /)) { split(substr($0, RSTART, RLENGTH), w, " "); n = w[2] }
           tests++; cases += n } END { print tests + 0, cases + 0 }'
}
read -r passed passed_cases <<<"$(count_lines passed "$lines")"
read -r failed failed_cases <<<"$(count_lines failed "$lines")"
ran=$((passed_cases + failed_cases))

skipped=0 unexpected=0
# look_at_skips LOG
look_at_skips() {
  local line name reason
  while IFS= read -r line; do
    if [[ $line == '==> booting '* ]]; then
      flavour=${line##* with } flavour=${flavour%% *}
      continue
    fi
    skipped=$((skipped + 1))
    name=$(sed -E 's/^[^ ]+ +Test (.*) skipped(: .*)?$/\1/; s/^"(.*)"$/\1/' <<<"$line")
    reason=$(allowed "$name")
    if [ -n "$reason" ]; then
      printf 'skipped, as Tests/skips allows (%s): %s\n' "$reason" "${line#* }"
    else
      unexpected=$((unexpected + 1))
      printf '%sskipped, and nothing in Tests/skips allows it: %s%s\n' "$red" "${line#* }" "$plain"
    fi
  done < <(grep -aE '^[^ ]+ +Test .* skipped(: .*)?$|^==> booting ' "$1" || true)
}
look_at_skips "$lines"
guest_cases=0
if [ -n "$guest" ]; then
  where=guest
  look_at_skips "$guest_log"
  read -r guest_passed guest_cases <<<"$(count_lines passed "$guest_log")"
  read -r guest_failed guest_failed_cases <<<"$(count_lines failed "$guest_log")"
  guest_cases=$((guest_cases + guest_failed_cases))
  where=host
fi

closing=$(grep -E '^[^ ]+ +Test run with [0-9]+ tests? .*(passed|failed) after' "$lines" | tail -n 1 || true)
problems=()
[ -n "$closing" ] || problems+=("the test runner did not reach its closing line")
[ "$status" = 0 ] || problems+=("the test runner ended with status $status")
[ "$failed" = 0 ] || problems+=("$failed tests failed")
[ "$unexpected" = 0 ] || problems+=("$unexpected tests were skipped unexpectedly")
[ "$ran" -gt 0 ] || problems+=("no case ran")
[ "$fuzz_status" = 0 ] || problems+=("scripts/fuzz found something, or could not run")
[ "$fields_status" = 0 ] || problems+=("a field of config.json can be ignored and no case fails (scripts/fields)")
# What the failed tests had to say, once more: of a long run only the end may be kept.
what_failed() { # log
  awk '/^[^ ]+ +Test .* recorded an issue/ { told = 1; sub(/^[^ ]* */, ""); print "  " $0; next }
       told && !/^[^ ]+ +(Test|Suite) / { print "    " $0; next }
       { told = 0 }' "$1" | cut -c1-1000 | head -n 80
}
if [ -n "$guest" ] && [ "$guest_status" != 0 ]; then
  what_failed "$guest_log"
  problems+=("in the guest $guest_failed tests failed, or it gave no answer, or did not come back as it was (scripts/reboot)")
  grep -aE '^[^ ]+ +Test .* failed after' "$guest_log" | grep -avE 'Test run with' | sed 's/^[^ ]* */  in the guest: /' || true
fi

if [ "$failed" != 0 ]; then
  echo "failed:"
  what_failed "$lines"
  grep -E '^[^ ]+ +Test .* failed after' "$lines" | grep -vE 'Test run with' | sed 's/^[^ ]* */  /'
fi

# No run may shrink without a reason that the change of Tests/counts shows.
hold_count() { # mode cases
  local before
  before=$(awk -v mode="$1" '$1 == mode { print $2 }' Tests/counts)
  if [ -n "$record" ]; then
    awk -v mode="$1" -v ran="$2" '$1 == mode { $2 = ran } { print }' Tests/counts >Tests/counts.new
    mv Tests/counts.new Tests/counts
  elif [ "$2" -lt "${before:-0}" ]; then
    problems+=("$2 cases ran ($1) where Tests/counts has $before (say why, and run scripts/test --record)")
  elif [ "$2" -gt "${before:-0}" ]; then
    echo "$(($2 - ${before:-0})) cases ($1) more than Tests/counts has; scripts/test --record notes it"
  fi
}
if [ ${#filters[@]} -eq 0 ] && ! runtime_only; then
  hold_count "$mode" "$ran"
  [ -z "$guest" ] || hold_count "$mode-guest" "$guest_cases"
fi

printf 'built in %d s, tested in %d s\n' $((built - started)) $((ended - built))
printf 'cases run (%s): %d, in %d tests\n' "$mode" "$ran" $((passed + failed))
[ -z "$guest" ] || printf 'cases run in the guest (%s): %d, in %d tests\n' "$mode" "$guest_cases" $((guest_passed + guest_failed))
for problem in "${problems[@]}"; do printf '%sscripts/test: %s%s\n' "$red" "$problem" "$plain" >&2; done
[ -z "$closing" ] || echo "$closing"
echo "$passed passed, $failed failed, $skipped skipped"
[ ${#problems[@]} -eq 0 ]
