"""Cloud Build: every build succeeds immediately; `uploads` keeps its source."""

from string import Template
from typing import ClassVar

from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.service import Service, unknown
from tests.cloud.state import StoredObject, now


class CloudBuild(Service):
    """Builds of a region or of the whole project (`locations/global`)."""

    name = "cloudbuild"
    long_running: ClassVar[dict[str, str]] = {"builds": "google.devtools.cloudbuild.v1.Build"}

    def new(self, call: Call, collection: str) -> tuple[str, Json]:
        """Number a build."""
        number = f"00000000-0000-4000-8000-{next(self.state.numbers):012d}"
        return f"{_regional(collection)}/{number}", call.document

    def created(self, call: Call, name: str, resource: Json) -> Json:
        """Run a build, which succeeds."""
        identifier, region = name.rpartition("/")[2], name.split("/")[3]
        source = resource.get("source", {}).get("storageSource")
        runs_as = resource.get("serviceAccount", "").rpartition("/")[2]
        for secret in resource.get("availableSecrets", {}).get("secretManager", ()):
            held = secret["versionName"].partition("/versions/")[0]
            self.state.demand(runs_as, "secretmanager.versions.access", f"secretmanager.googleapis.com/{held}")
        if source:
            stored = self.state.objects.get((source["bucket"], source["object"]))
            if stored is None:
                raise Refusal(404, f"gs://{source['bucket']}/{source['object']} was not found.")
            self.state.uploads[source["object"]] = stored.content
            account = Template(resource.get("serviceAccount", "")).safe_substitute(
                resource.get("substitutions", {}), PROJECT_ID=self.state.project
            )
            held = f"storage.googleapis.com/projects/_/buckets/{source['bucket']}/objects/{source['object']}"
            self.state.demand(account.rpartition("/")[2], "storage.objects.get", held)
            project = f"cloudresourcemanager.googleapis.com/projects/{self.state.project}"
            self.state.demand(account.rpartition("/")[2], "logging.logEntries.create", project)
        logs = resource.get("logsBucket", f"gs://{self.state.number}.cloudbuild-logs.googleusercontent.com")
        bucket, _, folder = logs.removeprefix("gs://").partition("/")
        log = f"{folder}/log-{identifier}.txt".lstrip("/")
        self.state.objects[bucket, log] = StoredObject(b"DONE\n", next(self.state.numbers))
        return {
            "logsBucket": logs,
            **resource,
            "id": identifier,
            "projectId": self.state.project,
            "status": "SUCCESS",
            "startTime": now(),
            "finishTime": now(),
            "logUrl": f"https://console.cloud.google.com/cloud-build/builds;region={region}/{identifier}",
        }

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """Return the default service account, whose name has no id; else apply the shared rules."""
        if name.endswith("/defaultServiceAccount"):
            return self.resource(call, name)
        return super().collection(call, name, version)

    def resource(self, call: Call, name: str) -> Json | Answer:
        """Get a build."""
        if call.method != "GET":
            raise unknown(call)
        if name.endswith("/defaultServiceAccount"):
            email = f"{self.state.number}-compute@developer.gserviceaccount.com"
            return {"name": name, "serviceAccountEmail": f"projects/{self.state.project}/serviceAccounts/{email}"}
        return self.state.get(self.full(_regional(name)))

    def answered(self, kind: str, name: str, resource: Json, message: str | None = None) -> Json:
        """Add the build to the operation's metadata, from which gcloud reads it."""
        operation = super().answered(kind, name, resource, message)
        kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
        operation["metadata"] = {"@type": kind, "build": resource}
        return operation


def _regional(name: str) -> str:
    return name if "/locations/" in name else name.replace("/builds", "/locations/global/builds")
