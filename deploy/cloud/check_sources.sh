#!/usr/bin/env bash
# Check that the project owns the bucket of its sources: deploy/cloud/check_sources.sh PROJECT [NAME]
#
# Names of buckets are global and predictable: somebody else can have created this one, to receive
# the source. `gcloud builds submit` does not look. Run this script before each upload.
set -euo pipefail
project=${1:?write the project} name=${2:-launch}
bucket="gs://${project//[.:]/-}-${name}-sources"

if ! owner=$(gcloud storage buckets describe "${bucket}" --raw --format='value(projectNumber)'); then
  echo "${bucket}: nothing is uploaded. If the bucket does not exist, run bootstrap first. If you may" \
    "not read it, it can belong to somebody else: ask the project's owner." >&2
  exit 1
fi
number=$(gcloud projects describe "${project}" --format='value(projectNumber)')
if [[ -z ${number} || ${owner} != "${number}" ]]; then
  echo "${bucket} belongs to the project number ${owner}, not to ${project}: nothing is uploaded." \
    "Bootstrap and deploy under another --name." >&2
  exit 1
fi
