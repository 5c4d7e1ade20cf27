#!/usr/bin/env bash
# Route the traffic of all three functions to the revisions before this build. Always fails.
set -uo pipefail
for verb in poll submit status; do
  function="${_NAME:?}-${verb}"
  previous=$(cat ".previous/${function}" 2>/dev/null)
  if [[ -z ${previous} ]]; then
    echo "${function}: has no previous revision."
  elif gcloud run services update-traffic "${function}" --region="${_REGION:?}" \
    --project="${PROJECT_ID:?}" --quiet --to-revisions="${previous}=100"; then
    echo "${function}: ${previous} serves again."
  else
    echo "${function}: could not be rolled back to ${previous}." >&2
  fi
done
echo "The smoke test failed: see its step's log above." >&2
exit 1
