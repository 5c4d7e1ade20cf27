#!/usr/bin/env bash
# Route the traffic of all three functions to the revisions before this build. Always fails.
set -uo pipefail
for verb in poll status submit; do # the reverse of route.sh
  function="${_NAME:?}-${verb}"
  previous=$(cat ".previous/${function}" 2>/dev/null)
  back=(gcloud run services update-traffic "${function}" --region="${_REGION:?}"
    --project="${PROJECT_ID:?}" --quiet --to-revisions="${previous}")
  if [[ -z ${previous} ]]; then
    echo "${function}: has no previous revision."
  elif "${back[@]}" || "${back[@]}"; then
    echo "${function}: ${previous%=100} serves again."
  else
    echo "${function}: could not be rolled back. Repeat by hand: ${back[*]}" >&2
  fi
done
echo "The build has failed: see the logs of its steps above." >&2
exit 1
