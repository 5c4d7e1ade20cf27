# shellcheck shell=sh
# patiently COMMAND…: repeat a command whose error passes by itself, and show the reason.
#
# For POSIX sh. waiting.txt lists these errors; waiting.py does the same for our Python commands.
# Each try gets ${input} as its standard input. ${waiting} names the table, ${patience} the most
# seconds, ${patience_denied} the most after a refused permission. An error that matches ${absent}
# returns 44 at once, without a word.

patiently() {
  waited=0 pause=2 errors=$(mktemp)
  while :; do
    code=0
    printf '%s' "${input:-}" | "$@" 2>"${errors}" || code=$?
    if [ "${code}" -eq 0 ]; then break; fi
    if [ -n "${absent:-}" ] && grep -Eq -e "${absent}" "${errors}"; then
      rm -f "${errors}"
      return 44
    fi
    found=$(passing "${errors}") || : # a pipe that ends early may count as failed
    case ${found} in
      lag*) limit=${patience:-420} ;;
      denied*) limit=${patience_denied:-420} ;;
      *) limit=0 ;;
    esac
    if [ "${waited}" -ge "${limit}" ]; then break; fi
    echo "Waiting (${waited} of at most ${limit} s): ${found#*	}." >&2
    sed 's/^/  /' "${errors}" >&2
    sleep "${pause}"
    waited=$((waited + pause)) pause=$((pause < 16 ? pause * 2 : 30))
  done
  cat "${errors}" >&2
  rm -f "${errors}"
  return "${code}"
}

# passing FILE: print the kind and the reason if an error in FILE passes by itself.
passing() {
  grep -v '^#' "${waiting:-deploy/cloud/waiting.txt}" | while IFS='	' read -r kind words reason; do
    if grep -Eq -e "${words}" "$1"; then
      printf '%s\t%s\n' "${kind}" "${reason}"
      break
    fi
  done
}
