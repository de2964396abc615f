#!/bin/sh
# A whole client of clawlogd for a POSIX shell, with socat or a netcat that knows -U: sh client.sh TITLE SECONDS
set -eu
socket=${CLAWLOG_SOCKET:-$XDG_RUNTIME_DIR/clawlog/clawlogd.sock}
socket=${socket#unix:}

send() {
  if command -v socat >/dev/null; then
    socat -t 310 - "UNIX-CONNECT:$socket"
  else
    nc -UN "$socket"
  fi
}

# call METHOD PARAMS: the reply's line; ends the script where it is an error.
call() {
  reply=$(printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' "$1" "$2" | send)
  case $reply in
    *'"result":'*) printf '%s\n' "$reply" ;;
    *) printf '%s: %s\n' "$1" "${reply:-no reply}" >&2; return 1 ;;
  esac
}

# text STRING: a string as JSON has it; line breaks and other control characters become spaces.
text() { printf '"%s"' "$(printf %s "$1" | tr '\000-\037' ' ' | sed 's/[\\"]/\\&/g')"; }

# member NAME: the first text of that name in a reply.
member() { sed -n 's/.*"'"$1"'":"\(\([^"\\]\|\\.\)*\)".*/\1/p'; }

created=$(call task.create "{\"title\":$(text "$1"),\"steps\":[\"fetch\",\"build\",\"publish\"],\"watch_pid\":$$}")
task=$(printf %s "${created%%\"title\"*}" | member task_id)
for step in fetch build publish; do
  call step.update "{\"task_id\":\"$task\",\"step\":\"$step\",\"status\":\"running\"}" >/dev/null
  stop=$(call interrupt.check "{\"task_id\":\"$task\",\"wait_s\":$2}") # the work; a stop ends the wait
  case $stop in *'"interrupt_requested":true'*)
    call interrupt.ack "{\"task_id\":\"$task\",\"summary\":\"stopped between two steps\"}" >/dev/null
    printf '%s stopped: %s\n' "$task" "$(printf %s "$stop" | member reason)"
    exit 0 ;;
  esac
  call step.update "{\"task_id\":\"$task\",\"step\":\"$step\",\"status\":\"done\",\"summary\":\"$step is done\"}" >/dev/null
done
call task.update "{\"task_id\":\"$task\",\"status\":\"done\"}" >/dev/null
printf '%s done\n' "$task"
