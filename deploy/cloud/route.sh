#!/usr/bin/env bash
# Route the traffic of all three functions to the newest revisions. If one fails, roll back all.
set -uo pipefail
for verb in submit status poll; do # readers first: submit reads what status and poll publish
  if ! gcloud run services update-traffic "${_NAME:?}-${verb}" --region="${_REGION:?}" \
    --project="${PROJECT_ID:?}" --quiet --to-latest; then
    exec deploy/cloud/roll_back.sh
  fi
done
