"""Projects and IAM: policies, service accounts, custom roles, workload identity."""

from typing import ClassVar

from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.service import Service
from tests.cloud.state import now


class ResourceManager(Service):
    """The one project, in the forms of v1 and v3."""

    name = "cloudresourcemanager"

    def resource(self, call: Call, name: str) -> Json | Answer:
        """Get the project."""
        self.state.get(self.full(name))
        project, number = self.state.project, self.state.number
        if call.path.startswith("/v1/"):
            return {"projectId": project, "projectNumber": number, "lifecycleState": "ACTIVE", "name": project}
        return {"name": f"projects/{number}", "projectId": project, "state": "ACTIVE", "displayName": project}


class Iam(Service):
    """Service accounts, custom roles, and workload identity pools with their providers."""

    name = "iam"
    long_running: ClassVar[dict[str, str]] = {
        "workloadIdentityPools": "google.iam.v1beta.WorkloadIdentityPool",
        "providers": "google.iam.v1beta.WorkloadIdentityPoolProvider",
    }

    def answer(self, call: Call) -> Json | Answer:
        """Return no untestable permission; else apply the shared rules."""
        if call.path == "/v1/permissions:queryTestablePermissions":
            return {"permissions": []}
        return super().answer(call)

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """List service accounts under the name that IAM gives the field; else apply the shared rules."""
        answer = super().collection(call, name, version)
        if call.method == "GET" and isinstance(answer, dict) and "serviceAccounts" in answer:
            return {"accounts": answer["serviceAccounts"]}
        return answer

    def new(self, call: Call, collection: str) -> tuple[str, Json]:
        """Name a service account by its email and a role by its id."""
        body = call.document
        if "accountId" in body:
            email = f"{body['accountId']}@{self.state.project}.iam.gserviceaccount.com"
            return f"{collection}/{email}", {**body.get("serviceAccount", {}), "email": email}
        if "roleId" in body:
            return f"{collection}/{body['roleId']}", dict(body.get("role", {}))
        return super().new(call, collection)

    def created(self, call: Call, name: str, resource: Json) -> Json:
        """Set a service account's numbers and a pool's state."""
        if "/roles/" in name:
            return {key: value for key, value in resource.items() if not key.endswith("Time")} | {"etag": "BwE="}
        if "/serviceAccounts/" in name:
            unique = str(100000000000000000000 + next(self.state.numbers))
            account = {"name": name, "projectId": self.state.project, "uniqueId": unique, "oauth2ClientId": unique}
            return {**account, **{key: value for key, value in resource.items() if not key.endswith("Time")}}
        return {**resource, "name": name.replace(self.state.project, self.state.number, 1), "state": "ACTIVE"}

    def resource(self, call: Call, name: str) -> Json | Answer:
        """Delete a role softly, as IAM does; else apply the shared rules."""
        if "/roles/" in name and call.method == "DELETE":
            self.state.get(self.full(name))["deleted"] = True
            return self.state.get(self.full(name))
        if "/roles/" in name and call.method == "PATCH" and self.state.get(self.full(name)).get("deleted"):
            raise Refusal(400, f"You can't update the role {name}: it has been deleted.", "FAILED_PRECONDITION")
        if "/serviceAccounts/" in name and call.method == "PATCH":
            return self.state.get(self.full(name)) | {"updated": now()}
        return super().resource(call, name)

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Undelete a role; else apply IAM's verbs."""
        if verb == "undelete":
            self.state.get(self.full(name)).pop("deleted", None)
            return self.state.get(self.full(name))
        return super().verb(call, name, verb)
