"""APIs of named resources with few rules of their own."""

import base64
import json
import urllib.parse
from typing import Any, ClassVar

import google_crc32c

from deploy.cloud.doctor.agents import AGENTS, AT_FIRST_JOB
from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.service import Service, unknown
from tests.cloud.state import now


class ArtifactRegistry(Service):
    """Repositories of images."""

    name = "artifactregistry"
    long_running: ClassVar[dict[str, str]] = {"repositories": "google.devtools.artifactregistry.v1.Repository"}


class Eventarc(Service):
    """Triggers; Cloud Functions creates those of functions."""

    name = "eventarc"
    long_running: ClassVar[dict[str, str]] = {"triggers": "google.cloud.eventarc.v1.Trigger"}


class KeyManagement(Service):
    """Keys, which a test adds to `resources`."""

    name = "cloudkms"


class SecretManager(Service):
    """Secrets and their versions."""

    name = "secretmanager"

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Add, read, enable or disable a version; else apply IAM's verbs."""
        if verb == "addVersion":
            self.state.get(self.full(name))
            number = len(self.state.children(f"{self.full(name)}/versions")) + 1
            version = f"{name}/versions/{number}"
            self.state.secrets[version] = base64.b64decode(call.document["payload"]["data"])
            made: Json = {"name": version, "createTime": now(), "state": "ENABLED", "etag": '"1"'}
            made["clientSpecifiedPayloadChecksum"] = "dataCrc32c" in call.document["payload"]
            return self.state.add(self.full(version), made)
        if verb == "access":
            version = self.version(name)
            secret = self.state.secrets[version]
            payload = {"data": base64.b64encode(secret).decode(), "dataCrc32c": str(google_crc32c.value(secret))}
            return {"name": version, "payload": payload}
        if verb in ("enable", "disable"):
            held = self.state.get(self.full(name))
            held["state"] = f"{verb.upper()}D"
            return held
        return super().verb(call, name, verb)

    def resource(self, call: Call, name: str) -> Json | Answer:
        """Resolve `versions/latest`, then apply the shared rules."""
        return super().resource(call, self.version(name) if "/versions/" in name else name)

    def version(self, name: str) -> str:
        """Resolve `latest` to the number of the newest version."""
        secret, _, version = name.partition("/versions/")
        number = len(self.state.children(f"{self.full(secret)}/versions")) if version == "latest" else version
        return str(self.state.get(self.full(f"{secret}/versions/{number}"))["name"])

    def deleted(self, call: Call, name: str, resource: Json) -> None:
        """Delete a secret's versions."""
        for version in self.state.children(f"{self.full(name)}/versions"):
            self.state.remove(self.full(version["name"]))


class ServiceUsage(Service):
    """APIs; each exists and is disabled until a call enables it."""

    name = "serviceusage"

    def answer(self, call: Call) -> Json | Answer:
        """List, get or enable APIs."""
        if call.path.endswith(("operations/noop.DONE_OPERATION",)):
            return self.done([])
        return super().answer(call)

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """List the enabled APIs."""
        return {"services": self.state.children(self.full(name))}

    def resource(self, call: Call, name: str) -> Json | Answer:
        """Get one API, enabled or disabled."""
        return self.state.resources.get(self.full(name), self.described(name, "DISABLED"))

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Enable or disable APIs."""
        if verb == "batchEnable":
            names = [f"{name}/{identifier}" for identifier in call.document["serviceIds"]]
            return self.done([self.enable(each) for each in names])
        if verb == "enable":
            return self.done([self.enable(name)])
        if verb == "disable":
            self.state.resources.pop(self.full(name), None)
            return self.done([])
        if verb == "generateServiceIdentity":
            api = name.rpartition("/")[2].partition(".")[0]
            email = f"service-{self.state.number}@gcp-sa-{api}.iam.gserviceaccount.com"
            self.grant(f"serviceAccount:{email}", f"roles/{api}.serviceAgent")
            return {**self.done([]), "response": {"email": email, "uniqueId": "1"}}
        raise unknown(call)

    def grant(self, member: str, role: str) -> None:
        """Give a service agent its role on the project, as Google does for those that have one."""
        if role not in ("roles/eventarc.serviceAgent", "roles/pubsub.serviceAgent"):
            return
        project = f"cloudresourcemanager.googleapis.com/projects/{self.state.project}"
        bindings = self.state.policies.setdefault(project, {"version": 1, "bindings": []})["bindings"]
        if not any(each["role"] == role and member in each["members"] for each in bindings):
            bindings.append({"role": role, "members": [member]})

    def enable(self, name: str) -> Json:
        """Enable one API, and give its service agent the role that Google gives it."""
        role = f"roles/{name.rpartition('/')[2].partition('.')[0]}.serviceAgent"
        if agent := next((agent for agent, its in (AGENTS | AT_FIRST_JOB).items() if its == role), None):
            member = f"serviceAccount:service-{self.state.number}@{agent}.iam.gserviceaccount.com"
            policy = self.state.policies.setdefault(
                f"cloudresourcemanager.googleapis.com/projects/{self.state.project}", {"version": 1, "bindings": []}
            )
            if not any(binding["role"] == role for binding in policy["bindings"]):
                policy["bindings"].append({"role": role, "members": [member]})
        self.state.resources[self.full(name)] = self.described(name, "ENABLED")
        return self.state.resources[self.full(name)]

    def described(self, name: str, state: str) -> Json:
        """Describe an API as Service Usage does."""
        parent = f"projects/{self.state.number}"
        identifier = name.rpartition("/")[2]
        return {
            "name": f"{parent}/services/{identifier}",
            "config": {"name": identifier, "title": identifier},
            "state": state,
            "parent": parent,
        }

    def done(self, services: list[Json]) -> Json:
        """Return an operation that is done."""
        kind = "type.googleapis.com/google.api.serviceusage.v1.BatchEnableServicesResponse"
        return {
            "name": "operations/acat.p2-1-done",
            "done": True,
            "response": {"@type": kind, "services": services},
        }


class Tokens(Service):
    """OAuth: a caller's token contains the caller's identity."""

    name = "oauth2"

    def answer(self, call: Call) -> Json | Answer:
        """Exchange a refresh token `refresh:EMAIL` for an access token."""
        form = dict(urllib.parse.parse_qsl(call.body.decode())) if isinstance(call.body, bytes) else {}
        identity = form.get("refresh_token", "").removeprefix("refresh:")
        if not identity:
            raise Refusal(400, "invalid_grant")
        return {"access_token": access_token(identity), "id_token": id_token(identity), "expires_in": 3600,
                "token_type": "Bearer", "scope": "https://www.googleapis.com/auth/cloud-platform"}  # fmt: skip


class Credentials(Service):
    """Tokens of service accounts, for identities that may impersonate them."""

    name = "iamcredentials"

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Create an access token or an ID token of a service account."""
        email = name.rpartition("/")[2]
        if verb == "generateAccessToken":
            return {"accessToken": access_token(email), "expireTime": "2099-01-01T00:00:00Z"}
        if verb == "generateIdToken":
            return {"token": id_token(email, call.document.get("audience", ""))}
        raise unknown(call)


def access_token(identity: str) -> str:
    """Return the access token of `identity`."""
    return f"token-of:{identity}"


def claims(token: str) -> Json:
    """Return the claims of an ID token."""
    encoded = token.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return found


def id_token(identity: str, audience: str = "") -> str:
    """Return an unsigned ID token of `identity`."""
    parts: list[dict[str, Any]] = [{"alg": "none"}, {"email": identity, "aud": audience, "exp": 4070908800}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])
