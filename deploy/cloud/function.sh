#!/usr/bin/env bash
# Deploy one function, and bind its caller: deploy/cloud/function.sh poll|submit|status CALLER FLAGS…
#
# This script contains the parts that the three functions share. cloudbuild.yaml passes CALLER (an
# account of ours), FLAGS of `gcloud functions deploy`, and its substitutions as environment
# variables. By hand:
#   PROJECT_ID=p COMMIT_SHA=$(git rev-parse HEAD) _REGION=us-central1 _NAME=launch \
#     deploy/cloud/function.sh poll scheduler …
# Run hold_traffic.sh before, and route.sh after it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/cloud/patiently.sh
verb=$1 caller=$2
shift 2
: "${PROJECT_ID:?}" "${_REGION:?}" "${_NAME:?}"
: "${COMMIT_SHA:?is empty: add COMMIT_SHA=\$(git rev-parse HEAD) to --substitutions}"
function="${_NAME}-${verb}"
where=(--region="${_REGION}" --project="${PROJECT_ID}")
# A project example.com:p has the accounts NAME@p.example.com.iam.gserviceaccount.com.
domain=${PROJECT_ID#*:}
if [[ ${PROJECT_ID} == *:* ]]; then domain+=".${PROJECT_ID%%:*}"; fi
account() { echo "${_NAME}-$1@${domain}.iam.gserviceaccount.com"; }
bucket_prefix="${PROJECT_ID//[.:]/-}-${_NAME}"

set -- "${@//@${PROJECT_ID}.iam/@${domain}.iam}"

# hold_traffic.sh has written what serves. The new revision gets no traffic before route.sh.
optional=()
if [[ ! -e .previous/${function} ]]; then
  echo "${function}: this is its first deployment."
  # Later, this flag would need the permission to set the function's policy; see the end.
  optional+=(--no-allow-unauthenticated)
fi

# Cloud Build sets it; the functions compare it with the owner of their buckets.
: "${PROJECT_NUMBER:=$(gcloud projects describe "${PROJECT_ID}" --format='value(projectNumber)')}"
settings="GOOGLE_CLOUD_PROJECT=${PROJECT_ID};VERTEX_LOCATION=${_REGION}"
settings+=";GOOGLE_CLOUD_PROJECT_NUMBER=${PROJECT_NUMBER}"
settings+=";LEDGER_BUCKET=${bucket_prefix}-ledger;SOURCES_BUCKET=${bucket_prefix}-sources"
settings+=";CONTEXTS_BUCKET=${bucket_prefix}-contexts;LAUNCH_TOPIC=${_NAME}-requests"
settings+=";LAUNCH_WAKE_UP_TOPIC=${_NAME}-wake-up"
settings+=";LAUNCH_EVENTS_TOPIC=${_NAME}-events"
settings+=";LAUNCH_AGENT_NAME=${_NAME};LAUNCH_CONFIG=${_LAUNCH_CONFIG:-launch-config.yaml}"
# A mounted file always contains the newest version; a variable keeps its value as long as the
# instance lives.
key_file=/etc/secrets/wandb/api-key
settings+=";WANDB_API_KEY_FILE=${key_file};WANDB_BASE_URL=${_WANDB_BASE_URL:-https://api.wandb.ai}"
# A second defence against a handler that outlives its timeout: its server ends its thread.
for flag in "$@"; do
  if [[ ${flag} == --timeout=* ]]; then
    seconds=${flag#--timeout=}
    settings+=";CLOUD_RUN_TIMEOUT_SECONDS=${seconds%s};THREADED_TIMEOUT_ENABLED=true"
  fi
done
# A revision keeps its variables for ever; doctor and hold_traffic.sh read these.
settings+=";DEPLOYED_COMMIT=${COMMIT_SHA}"
if [[ -s .previous/${function} ]]; then
  settings+=";DEPLOYED_OVER=$(cat ".previous/${function}")"
fi
if [[ -n ${BUILD_ID:-} ]]; then
  builds="projects/${PROJECT_ID}/locations/${LOCATION:-${_REGION}}/builds"
  settings+=";DEPLOYED_BUILD=${builds}/${BUILD_ID}"
fi
# As in gcloud's own lists, ^@^A=1@B=2 separates by @ instead of ; for values with a semicolon.
separator=";"
if [[ ${_SETTINGS:-} == ^?*^* ]]; then
  _SETTINGS=${_SETTINGS#^}
  separator=${_SETTINGS%%^*}
  settings=${settings//;/"${separator}"}
  _SETTINGS=${_SETTINGS#*^}
fi
if [[ -n ${_SETTINGS:-} ]]; then settings+="${separator}${_SETTINGS}"; fi

# A flag that is left out keeps its value, so an empty setting is cleared.
if [[ -n ${_KMS_KEY:-} ]]; then
  optional+=(--kms-key="${_KMS_KEY}")
else
  optional+=(--clear-kms-key)
fi
if [[ -n ${_VPC_CONNECTOR:-} ]]; then
  optional+=(--vpc-connector="${_VPC_CONNECTOR}")
  optional+=(--egress-settings="${_EGRESS:-private-ranges-only}")
else
  optional+=(--clear-vpc-connector)
fi
if [[ -n ${_WORKER_POOL:-} ]]; then
  optional+=(--build-worker-pool="${_WORKER_POOL}")
else
  optional+=(--clear-build-worker-pool)
fi
if [[ -n ${_PIP_INDEX_URL:-} ]]; then
  optional+=(--set-build-env-vars="^|^PIP_INDEX_URL=${_PIP_INDEX_URL}")
else
  optional+=(--clear-build-env-vars)
fi
if [[ -n ${_BINARY_AUTHORIZATION:-} ]]; then
  optional+=(--binary-authorization="${_BINARY_AUTHORIZATION}")
else
  optional+=(--clear-binary-authorization)
fi
read -ra more <<<"${_FUNCTION_FLAGS:-}" # separated by spaces

patiently gcloud functions deploy "${function}" "${where[@]}" --gen2 --quiet \
  --source=. --ignore-file=deploy/cloud/functions.gcloudignore \
  --entry-point="${verb}" --runtime=python312 \
  --ingress-settings=internal-only \
  --service-account="$(account "${verb}")" \
  --build-service-account="projects/${PROJECT_ID}/serviceAccounts/$(account build)" \
  --docker-repository="projects/${PROJECT_ID}/locations/${_REGION}/repositories/${_NAME}" \
  --set-env-vars="^${separator}^${settings}" \
  --set-secrets="${key_file}=${_NAME}-wandb-api-key:latest" \
  --update-labels="vertex-launch=${_NAME}" --remove-labels=commit \
  "${optional[@]}" "$@" "${more[@]}"

# The policy stays when a function is deployed again. The permission to set it ends.
member="serviceAccount:$(account "${caller}")"
callers=$(patiently gcloud run services get-iam-policy "${function}" "${where[@]}" \
  --flatten='bindings[].members' --filter='bindings.role=roles/run.invoker' \
  --format='value(bindings.members)')
if grep -q '^all' <<<"${callers}"; then
  echo "${function}: everybody can call it. An owner removes allUsers and allAuthenticatedUsers:" \
    "gcloud run services remove-iam-policy-binding ${function} ${where[*]}" \
    "--role=roles/run.invoker --member=allUsers" >&2
  exit 1
fi
if ! grep -qxF "${member}" <<<"${callers}" &&
  ! patiently gcloud functions add-invoker-policy-binding "${function}" "${where[@]}" \
    --member="${member}"; then
  echo "${function}: ${member} cannot call it. A build can give access until the end of the day" \
    "after bootstrap: run bootstrap again, then build." >&2
  exit 1
fi
