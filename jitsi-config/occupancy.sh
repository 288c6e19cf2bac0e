# Counts people. One line of JSON every 30 seconds, or none: a missing line means "unknown", so whatever goes wrong
# here prints nothing, and never a zero. While people meet, ECS is asked not to stop this task.
#
# Rooms are counted in one answer of jicofo's /debug, a map from room to participants with media. It is the only place
# that names rooms, and both kinds that are no meetings must be told apart by name:
#   __jicofo-health-check-…  jicofo's own test, always there
#   meetctl-probe-…          meetctl's rehearsal (a person who takes this name is not counted: docs/security.md)
# A person who waits alone has no media yet and shows as 0: at least one is counted for every room, as jicofo does.
# https://github.com/jitsi/jicofo/blob/master/jicofo/src/main/kotlin/org/jitsi/jicofo/FocusManager.kt
#
# If /debug has no such map but /stats has numbers, those are used, rehearsal included: better occupied than cut off.

jicofo="${JICOFO_URL:-http://127.0.0.1:8888}"
jvb="${JVB_URL:-http://127.0.0.1:8080}"
agent="${ECS_AGENT_URI:-}"
every="${OCCUPANCY_EVERY:-30}"

# Protection ends by itself if this script dies, and is renewed well before. Not at each round: `meetctl down
# --cut-meetings` lifts it, and must not find it back a moment later.
protect_minutes=30
renew_seconds="${OCCUPANCY_RENEW:-600}"
protected_at=0

trap 'exit 0' TERM INT

# Whatever happens stays out of the log: a line that is no JSON would be the newest line.
exec 2>/dev/null

get() {
  curl -fsS --connect-timeout 2 --max-time 5 "$1"
}

line() {
  local debug stats bridge
  stats="$(get "$jicofo/stats")" || return 1
  bridge="$(get "$jvb/colibri/stats")" || return 1
  debug="$(get "$jicofo/debug")" || debug='{}'
  jq -cn --argjson debug "$debug" --argjson stats "$stats" --argjson jvb "$bridge" '
    def number: if type == "number" then . else error("not a number") end;
    def known: if type == "number" then . else null end;
    def truth: if type == "boolean" then . else error("not a boolean") end;
    def meeting: startswith("__jicofo-health-check-") or startswith("meetctl-probe-") | not;

    (if ($debug | type) == "object" and ($debug.focus_manager | type) == "object"
        and all($debug.focus_manager[]; type == "number") then
       [$debug.focus_manager | to_entries[] | select(.key | meeting) | [.value, 1] | max]
       | { conferences: length, participants: (add // 0) }
     else
       { conferences: ($stats.conferences | number), participants: ($stats.participants | number) }
     end) as $people
    | { type: "occupancy", time: (now | floor | todate) } + $people + {
        jicofo: {
          healthy: ($stats.healthy | truth),
          bridge_selector: { operational_bridge_count: ($stats.bridge_selector.operational_bridge_count | number) }
        },
        jvb: {
          endpoints: (($jvb.endpoints // $jvb.participants) | number),
          stress_level: ($jvb.stress_level | number),
          graceful_shutdown: ($jvb.graceful_shutdown | truth),
          loss: ($jvb.overall_loss | known),
          ice_failed: ($jvb.total_ice_failed | known),
          total_bytes_sent: ($jvb.total_bytes_sent | known)
        }
      }'
}

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
protect() {
  [ -n "$agent" ] || return 1
  curl -fsS --connect-timeout 2 --max-time 5 -o /dev/null -X PUT -H 'Content-Type: application/json' \
    -d "$1" "$agent/task-protection/v1/state"
}

while :; do
  if now_line="$(line)" && [ -n "$now_line" ]; then
    printf '%s\n' "$now_line"
    conferences="$(printf %s "$now_line" | jq -r .conferences)"
    if [ "$conferences" -gt 0 ]; then
      if [ "$protected_at" -eq 0 ] || [ $((SECONDS - protected_at)) -ge "$renew_seconds" ]; then
        protect "{\"ProtectionEnabled\":true,\"ExpiresInMinutes\":$protect_minutes}" && protected_at=$((SECONDS + 1))
      fi
    elif [ "$protected_at" -ne 0 ]; then
      protect '{"ProtectionEnabled":false}' && protected_at=0
    fi
  fi
  sleep "$every" &
  wait $!
done
