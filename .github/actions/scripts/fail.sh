# shellcheck shell=bash
# Sourced by the scripts. `fail MESSAGE [CODE]` ends the step with an annotation of one line, whatever the message holds.
fail() {
  local line="${1//%/%25}"
  line="${line//$'\r'/ }"
  printf '::error title=bench-diff::%s\n' "${line//$'\n'/ }"
  exit "${2:-2}"
}
