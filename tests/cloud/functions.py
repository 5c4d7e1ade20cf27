"""Cloud Functions (v2), with the parts of a function: Run service, Eventarc trigger, subscription."""

from copy import deepcopy
from typing import ClassVar

from tests.cloud.calls import Answer, Call, Json
from tests.cloud.messaging import subscription_defaults
from tests.cloud.run import delete_service, deploy_revision
from tests.cloud.service import Service
from tests.cloud.state import now
from tests.cloud.storage import UPLOADS


class CloudFunctions(Service):
    """Functions; creating or updating one deploys a new revision of the Cloud Run service of the same name."""

    name = "cloudfunctions"
    long_running: ClassVar[dict[str, str]] = {"functions": "google.cloud.functions.v2.Function"}

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """List the runtimes; else apply the shared rules."""
        if name.endswith("/runtimes"):
            return {"runtimes": [_runtime(f"python3{minor}") for minor in (11, 12, 13)]}
        return super().collection(call, name, version)

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Return a URL for the upload of source code; else apply IAM's verbs."""
        if verb == "generateUploadUrl":
            archive = f"source-{next(self.state.numbers)}.zip"
            bucket = f"gcf-v2-uploads-{self.state.number}.{name.split('/')[3]}.cloudfunctions.appspot.com"
            return {"uploadUrl": f"{UPLOADS}{archive}", "storageSource": {"bucket": bucket, "object": archive}}
        return super().verb(call, name, verb)

    def created(self, call: Call, name: str, resource: Json) -> Json:
        """Deploy the first revision."""
        function: Json = {**resource, "environment": "GEN_2", "satisfiesPzi": False}
        function.setdefault("serviceConfig", {}).setdefault("allTrafficOnLatestRevision", True)
        return self.deployed(name, function, all_traffic=True)

    def updated(self, call: Call, name: str, resource: Json) -> Json:
        """Deploy the next revision; traffic set by hand stays, unless the call requests the latest."""
        all_traffic = bool(call.document.get("serviceConfig", {}).get("allTrafficOnLatestRevision"))
        return self.deployed(name, resource, all_traffic=all_traffic)

    def deleted(self, call: Call, name: str, resource: Json) -> None:
        """Delete the parts of the function."""
        delete_service(self.state, _run(name))
        trigger = resource.get("eventTrigger", {}).get("trigger")
        if trigger:
            subscription = self.state.get(f"eventarc.googleapis.com/{trigger}")["transport"]["pubsub"]["subscription"]
            self.state.remove(f"eventarc.googleapis.com/{trigger}")
            self.state.resources.pop(f"pubsub.googleapis.com/{subscription}", None)

    def deployed(self, name: str, function: Json, *, all_traffic: bool) -> Json:
        """Build and deploy the function's revision, and set its URLs in the function."""
        self.build(function.get("buildConfig", {}))
        settings = function.get("serviceConfig", {})
        for secret in settings.get("secretEnvironmentVariables", []) + settings.get("secretVolumes", []):
            held = f"secretmanager.googleapis.com/projects/{secret['projectId']}/secrets/{secret['secret']}"
            self.state.demand(settings["serviceAccountEmail"], "secretmanager.versions.access", held)
        region, identifier = name.split("/")[3], name.rpartition("/")[2]
        service = deploy_revision(
            self.state,
            _run(name),
            _template(name, function),
            {**function.get("labels", {}), "goog-managed-by": "cloudfunctions"},
            all_traffic=all_traffic,
        )
        config = function["serviceConfig"]
        config.setdefault("serviceAccountEmail", f"{self.state.number}-compute@developer.gserviceaccount.com")
        config |= {
            "service": _run(name).partition("/")[2],
            "uri": service["status"]["url"],
            "revision": service["status"]["latestReadyRevisionName"],
        }
        function |= {
            "state": "ACTIVE",
            "updateTime": now(),
            "url": f"https://{region}-{self.state.project}.cloudfunctions.net/{identifier}",
        }
        if "eventTrigger" in function:
            self.trigger(name, function)
        return function

    def build(self, config: Json) -> None:
        """Build the image as the function's build account."""
        account = config.get("serviceAccount", "").rpartition("/")[2]
        if not account:
            return
        source = f"projects/_/buckets/gcf-v2-sources-{self.state.number}/objects/function-source.zip"
        project = f"cloudresourcemanager.googleapis.com/projects/{self.state.project}"
        repository = f"artifactregistry.googleapis.com/{config['dockerRepository']}"
        self.state.demand(account, "storage.objects.get", f"storage.googleapis.com/{source}")
        self.state.demand(account, "artifactregistry.repositories.get", repository)
        self.state.demand(account, "artifactregistry.repositories.uploadArtifacts", repository)
        self.state.demand(account, "logging.logEntries.create", project)

    def trigger(self, name: str, function: Json) -> None:
        """Create the function's Eventarc trigger and subscription if they are missing."""
        event, region, identifier = function["eventTrigger"], name.split("/")[3], name.rpartition("/")[2]
        event.setdefault("triggerRegion", region)
        parent = "/".join(name.split("/")[:4])
        known = self.state.children(f"eventarc.googleapis.com/{parent}/triggers")
        mine = next((each for each in known if each["destination"]["cloudFunction"] == name), None)
        if mine is None:
            number = 100000 + next(self.state.numbers)
            trigger = f"{parent}/triggers/{identifier}-{number}"
            short = f"eventarc-{region}-{identifier}-{number}-sub-{number % 900 + 100}"
            subscription = f"projects/{self.state.project}/subscriptions/{short}"
            mine = self.state.add(
                f"eventarc.googleapis.com/{trigger}",
                {
                    "name": trigger,
                    "uid": f"uid-{number}",
                    "createTime": now(),
                    "updateTime": now(),
                    "eventFilters": [{"attribute": "type", "value": event["eventType"]}],
                    "destination": {"cloudFunction": name},
                    "transport": {"pubsub": {"topic": event["pubsubTopic"], "subscription": subscription}},
                },
            )
            self.subscribe(subscription, function)
        mine["serviceAccount"] = event.setdefault(
            "serviceAccountEmail", function["serviceConfig"]["serviceAccountEmail"]
        )
        event["trigger"] = mine["name"]

    def subscribe(self, subscription: str, function: Json) -> None:
        """Create the push subscription as Eventarc does, and the function's topic if it is missing."""
        event = function["eventTrigger"]
        topic = f"pubsub.googleapis.com/{event['pubsubTopic']}"
        self.state.resources.setdefault(topic, {"name": event["pubsubTopic"]})
        retried = event.get("retryPolicy") == "RETRY_POLICY_RETRY"
        self.state.add(
            f"pubsub.googleapis.com/{subscription}",
            {
                **subscription_defaults(),
                "name": subscription,
                "topic": event["pubsubTopic"],
                "ackDeadlineSeconds": 600,
                "messageRetentionDuration": "86400s",
                "expirationPolicy": {},
                "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"} if retried else {},
                "labels": {"goog-eventarc": "", "goog-drz-eventarc-location": event["triggerRegion"]},
                "pushConfig": {
                    "pushEndpoint": f"{function['serviceConfig']['uri']}?__GCP_CloudEventsMode=GCF_CE_PUBSUB_BINDING",
                    "oidcToken": {
                        "serviceAccountEmail": event.get(
                            "serviceAccountEmail", function["serviceConfig"]["serviceAccountEmail"]
                        ),
                        "audience": function["serviceConfig"]["uri"],
                    },
                    "attributes": {"x-goog-version": "v1"},
                },
            },
        )


def _run(name: str) -> str:
    return f"run.googleapis.com/{name.replace('/functions/', '/services/')}"


def _template(name: str, function: Json) -> Json:
    config, build = function.get("serviceConfig", {}), function.get("buildConfig", {})
    source = build.get("source", {}).get("storageSource", {}).get("object", "none").removesuffix(".zip")
    return deepcopy(
        {
            "metadata": {},
            "spec": {
                "serviceAccountName": config.get("serviceAccountEmail", ""),
                "containerConcurrency": config.get("maxInstanceRequestConcurrency", 1),
                "timeoutSeconds": config.get("timeoutSeconds", 60),
                "containers": [
                    {
                        "image": f"{build.get('dockerRepository', '')}/{name.rpartition('/')[2]}:{source}",
                        "env": [
                            {"name": key, "value": value}
                            for key, value in config.get("environmentVariables", {}).items()
                        ]
                        + [
                            {
                                "name": secret["key"],
                                "valueFrom": {"secretKeyRef": {"name": secret["secret"], "key": secret["version"]}},
                            }
                            for secret in config.get("secretEnvironmentVariables", [])
                        ],
                        "volumeMounts": [
                            {"name": f"secret-{number}", "mountPath": volume["mountPath"]}
                            for number, volume in enumerate(config.get("secretVolumes", []))
                        ],
                        "resources": {
                            "limits": {"memory": config.get("availableMemory"), "cpu": config.get("availableCpu")}
                        },
                    }
                ],
                "volumes": [
                    {
                        "name": f"secret-{number}",
                        "secret": {
                            "secretName": volume["secret"],
                            "items": [
                                {"key": each["version"], "path": each["path"].lstrip("/")}
                                for each in volume["versions"]
                            ],
                        },
                    }
                    for number, volume in enumerate(config.get("secretVolumes", []))
                ],
            },
        }
    )


def _runtime(name: str) -> Json:
    return {"name": name, "displayName": name, "stage": "GA", "environment": "GEN_2"}
