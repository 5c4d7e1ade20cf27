#!/usr/bin/env bash
# Pin the traffic of all three functions to the revisions that served before this build.
#
# Writes them to .previous/FUNCTION, as `--to-revisions` takes them: REVISION=PERCENT,… The file is
# empty if nothing good serves, and missing if the function does not exist. function.sh and
# roll_back.sh read it.
#
# A build that is cancelled or timed out runs no further step, so its revisions can still serve.
# Cloud Build knows how each build ended, and each revision names its build (DEPLOYED_BUILD) and the
# revisions that it replaced (DEPLOYED_OVER). No later build can change these.
set -uo pipefail
: "${PROJECT_ID:?}" "${_REGION:?}" "${_NAME:?}"
where=(--region="${_REGION}" --project="${PROJECT_ID}")
mkdir -p .previous
problem=.previous/problem

# Print REVISION=PERCENT for each revision that serves; a tag without traffic has no percentage.
serving() {
  gcloud run services describe "$1" "${where[@]}" --flatten='status.traffic[]' \
    --format='value[separator="="](status.traffic.revisionName,status.traffic.percent)' |
    sed -n '/=[1-9]/p'
}

# Print NAME=VALUE for each variable of a revision.
variables() {
  gcloud run revisions describe "$1" "${where[@]}" --flatten='spec.containers[].env[]' \
    --format='value[separator="="](spec.containers.env.name,spec.containers.env.value)'
}

# Print how a build ended; GONE if Cloud Build has deleted it.
outcome() {
  local place=${1#*/locations/}
  gcloud builds describe "${1##*/}" --region="${place%%/*}" --project="${PROJECT_ID}" \
    --format='value(status)' 2>"${problem}" || { grep -q NOT_FOUND "${problem}" && echo GONE; }
}

hold() {
  local function=$1 previous target of_revision build status
  previous=$(serving "${function}" 2>"${problem}" | paste -sd, -) || {
    grep -qi 'cannot find service' "${problem}" && return
    return 1
  }
  for target in ${previous//,/ }; do
    of_revision=$(variables "${target%=*}" 2>"${problem}") || return
    build=$(sed -n 's/^DEPLOYED_BUILD=//p' <<<"${of_revision}")
    if [[ -z ${build} ]]; then continue; fi # deployed by hand, or by an earlier version
    status=$(outcome "${build}") || return
    if [[ ${status} != SUCCESS && ${status} != GONE ]]; then
      previous=$(sed -n 's/^DEPLOYED_OVER=//p' <<<"${of_revision}")
      echo "${function}: ${target%=*} serves, but its build is ${status}: ${build}." \
        "Before it, ${previous:-nothing} served."
      break
    fi
  done
  printf %s "${previous}" >".previous/${function}"
  if [[ -n ${previous} ]]; then
    gcloud run services update-traffic "${function}" "${where[@]}" --quiet \
      --to-revisions="${previous}" 2>"${problem}"
  fi
}

held=0
for verb in poll status submit; do
  if ! hold "${_NAME}-${verb}"; then
    echo "${_NAME}-${verb}: cannot hold its traffic: $(cat "${problem}")" >&2
    if grep -qi permission "${problem}"; then echo "Run bootstrap again, then build." >&2; fi
    held=1
  fi
done
exit "${held}"
