# Sourced by scripts/test: reads the runner's log, counts cases and skips, holds them against Tests/skips and
# Tests/counts, and ends with the runner's own closing line. Wants $log $mode $status $record $filters and the times.

# Whether a condition that Tests/skips names holds on this machine.
condition() {
  case $1 in
    always) true ;;
    no-landlock) ! grep -qw landlock /sys/kernel/security/lsm 2>/dev/null ;;
    no-v2-controllers) ! grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null ;;
    no-sys-resource) ! ((0x$(awk '/^CapBnd/ { print $2 }' /proc/self/status) >> 24 & 1)) ;;
    v2-only) [ ! -d /sys/fs/cgroup/memory ] ;;
    no-tun) [ ! -c /dev/net/tun ] ;;
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
count_lines() { # verb
  { grep -E "^[^ ]+ +Test .* $1 after [0-9.]+ seconds" "$log" || true; } | { grep -vE '^[^ ]+ +Test run with ' || true; } |
    awk '{ n = 1; if (match($0, /with [0-9]+ test cases? /)) { split(substr($0, RSTART, RLENGTH), w, " "); n = w[2] }
           tests++; cases += n } END { print tests + 0, cases + 0 }'
}
read -r passed passed_cases <<<"$(count_lines passed)"
read -r failed failed_cases <<<"$(count_lines failed)"
ran=$((passed_cases + failed_cases))

skipped=0 unexpected=0
while IFS= read -r line; do
  skipped=$((skipped + 1))
  name=$(sed -E 's/^[^ ]+ +Test (.*) skipped(: .*)?$/\1/; s/^"(.*)"$/\1/' <<<"$line")
  reason=$(allowed "$name")
  if [ -n "$reason" ]; then
    printf 'skipped, as Tests/skips allows (%s): %s\n' "$reason" "${line#* }"
  else
    unexpected=$((unexpected + 1))
    printf '%sskipped, and nothing in Tests/skips allows it: %s%s\n' "$red" "${line#* }" "$plain"
  fi
done < <(grep -E '^[^ ]+ +Test .* skipped(: .*)?$' "$log" || true)

closing=$(grep -E '^[^ ]+ +Test run with [0-9]+ tests? .*(passed|failed) after' "$log" | tail -n 1 || true)
problems=()
[ -n "$closing" ] || problems+=("the test runner did not reach its closing line")
[ "$status" = 0 ] || problems+=("the test runner ended with status $status")
[ "$failed" = 0 ] || problems+=("$failed tests failed")
[ "$unexpected" = 0 ] || problems+=("$unexpected tests were skipped unexpectedly")
[ "$ran" -gt 0 ] || problems+=("no case ran")

if [ "$failed" != 0 ]; then
  echo "failed:"
  grep -E '^[^ ]+ +Test .* failed after' "$log" | grep -vE 'Test run with' | sed 's/^[^ ]* */  /'
fi

# Neither run may shrink without a reason that the change of Tests/counts shows.
if [ ${#filters[@]} -eq 0 ] && ! runtime_only; then
  before=$(awk -v mode="$mode" '$1 == mode { print $2 }' Tests/counts)
  if [ -n "$record" ]; then
    awk -v mode="$mode" -v ran="$ran" '$1 == mode { $2 = ran } { print }' Tests/counts >Tests/counts.new
    mv Tests/counts.new Tests/counts
  elif [ "$ran" -lt "${before:-0}" ]; then
    problems+=("$ran cases ran where Tests/counts has $before (say why, and run scripts/test --record)")
  elif [ "$ran" -gt "${before:-0}" ]; then
    echo "$((ran - ${before:-0})) cases more than Tests/counts has; scripts/test --record notes it"
  fi
fi

printf 'built in %d s, tested in %d s\n' $((built - started)) $((ended - built))
printf 'cases run (%s): %d, in %d tests\n' "$mode" "$ran" $((passed + failed))
for problem in "${problems[@]}"; do printf '%sscripts/test: %s%s\n' "$red" "$problem" "$plain" >&2; done
[ -z "$closing" ] || echo "$closing"
echo "$passed passed, $failed failed, $skipped skipped"
[ ${#problems[@]} -eq 0 ]
