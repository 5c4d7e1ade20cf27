"""Pub/Sub and Cloud Scheduler."""

import base64
from typing import Any, ClassVar

from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.service import Service, unknown
from tests.cloud.state import now


class PubSub(Service):
    """Topics and subscriptions; each subscription keeps a message until its acknowledgement."""

    name = "pubsub"

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """List topics, subscriptions, or the names of one topic's subscriptions."""
        parent, _, kind = name.rpartition("/")
        if "/topics/" in parent and kind == "subscriptions":
            self.state.get(self.full(parent))
            return {"subscriptions": [subscription["name"] for subscription in self.subscriptions(parent)]}
        return super().collection(call, name, version)

    def created(self, call: Call, name: str, resource: Json) -> Json:
        """Set a subscription's defaults; its topic must exist."""
        if "/topics/" in name:
            return resource
        if self.full(resource["topic"]) not in self.state.resources:
            del self.state.resources[self.full(name)]
            raise Refusal(404, f"Resource not found (resource={resource['topic'].rpartition('/')[2]}).")
        return subscription_defaults() | resource

    def changes(self, call: Call) -> Json:
        """Return the request's fields, which Pub/Sub wraps in the resource's kind."""
        wrapped: Json = call.document.get("topic") or call.document.get("subscription") or {}
        return wrapped

    def mask(self, call: Call) -> str:
        """Return the mask in the body."""
        return str(call.document["updateMask"])

    def deleted(self, call: Call, name: str, resource: Json) -> None:
        """Move a deleted topic's subscriptions to `_deleted-topic_`, as Pub/Sub does."""
        for subscription in self.subscriptions(name):
            subscription["topic"] = "_deleted-topic_"
        self.state.messages.pop(name, None)

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Publish, pull and acknowledge; else apply IAM's verbs."""
        if verb == "publish":
            self.state.get(self.full(name))
            return {"messageIds": [self.publish(name, message) for message in call.document["messages"]]}
        if verb == "pull":
            self.state.get(self.full(name))
            waiting = self.state.messages.get(name, [])[: call.document.get("maxMessages", 100)]
            return {"receivedMessages": [{"ackId": each["messageId"], "message": each} for each in waiting]}
        if verb == "acknowledge":
            acknowledged = call.document["ackIds"]
            waiting = self.state.messages.get(name, [])
            self.state.messages[name] = [each for each in waiting if each["messageId"] not in acknowledged]
            return {}
        if verb == "modifyAckDeadline":
            return {}
        if verb == "modifyPushConfig":
            self.state.get(self.full(name))["pushConfig"] = call.document.get("pushConfig", {})
            return {}
        return super().verb(call, name, verb)

    def publish(self, topic: str, message: Json) -> str:
        """Add a message to each of the topic's subscriptions; return its id."""
        sent = {**message, "messageId": str(next(self.state.numbers)), "publishTime": now()}
        sent["data"] = base64.b64encode(base64.b64decode(message.get("data", ""))).decode()
        for subscription in self.subscriptions(topic):
            self.state.messages.setdefault(subscription["name"], []).append(sent)
        return str(sent["messageId"])

    def subscriptions(self, topic: str) -> list[Json]:
        """Return the subscriptions of one topic."""
        project = "/".join(topic.split("/")[:2])
        return [each for each in self.state.children(self.full(f"{project}/subscriptions")) if each["topic"] == topic]


def subscription_defaults() -> Json:
    """Return Pub/Sub's defaults of a new subscription."""
    return {
        "pushConfig": {},
        "ackDeadlineSeconds": 10,
        "messageRetentionDuration": "604800s",
        "expirationPolicy": {"ttl": "2678400s"},
        "state": "ACTIVE",
    }


class CloudScheduler(Service):
    """Jobs; a run ends immediately, with its google.rpc code in `scheduler_outcome` (0: success).

    `State.call_target`, if set, carries out the run instead.
    """

    name = "cloudscheduler"
    defaults: ClassVar[Json] = {"timeZone": "Etc/UTC", "attemptDeadline": "180s"}
    retry: ClassVar[dict[str, Any]] = {
        "maxRetryDuration": "0s",
        "minBackoffDuration": "5s",
        "maxBackoffDuration": "3600s",
        "maxDoublings": 5,
    }

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """List the locations of Cloud Scheduler, or apply the shared rules to jobs."""
        if name.endswith("/locations"):
            return {"locations": [{"name": f"{name}/{each}", "locationId": each} for each in self.state.scheduler_in]}
        return super().collection(call, name, version)

    def created(self, call: Call, name: str, resource: Json) -> Json:
        """Enable the job, and set Cloud Scheduler's defaults."""
        job = {**self.defaults, **resource, "state": "ENABLED", "userUpdateTime": now(), "scheduleTime": now()}
        del job["createTime"], job["updateTime"]
        job["retryConfig"] = {**self.retry, **resource.get("retryConfig", {})}
        return self.updated(call, name, job)

    def updated(self, call: Call, name: str, resource: Json) -> Json:
        """Set the token's audience and the target's header, as Cloud Scheduler does."""
        target = resource.get("httpTarget")
        if target is not None:
            target.setdefault("httpMethod", "POST")
            target.setdefault("headers", {}).setdefault("User-Agent", "Google-Cloud-Scheduler")
            if token := target.get("oidcToken"):
                token.setdefault("audience", target["uri"])
        return resource

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Pause, resume or run a job."""
        job = self.state.get(self.full(name))
        if verb == "pause":
            job["state"] = "PAUSED"
        elif verb == "resume":
            job["state"] = "ENABLED"
        elif verb == "run":
            if self.state.call_target:
                self.state.call_target(job)
                return job
            code = self.state.scheduler_outcome.get(name, self.state.scheduler_outcome.get(name.rpartition("/")[2], 0))
            job |= {"lastAttemptTime": now(), "status": {"code": code} if code else {}}
        else:
            raise unknown(call)
        return job
