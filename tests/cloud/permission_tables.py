"""The tables of permissions.py: resource kinds, verbs and account fields of each API."""

# The resource kinds of each API whose paths are plain names: path segment -> word in permissions.
KINDS: dict[str, dict[str, str]] = {
    "aiplatform": {"customJobs": "customJobs"},
    "artifactregistry": {"repositories": "repositories", "tags": "tags", "operations": "operations"},
    "cloudbuild": {"builds": "builds", "operations": "operations", "defaultServiceAccount": ""},
    "cloudfunctions": {"functions": "functions", "runtimes": "runtimes", "operations": "operations"},
    "cloudkms": {"keyRings": "keyRings", "cryptoKeys": "cryptoKeys"},
    "cloudresourcemanager": {"projects": "projects"},
    "cloudscheduler": {"jobs": "jobs", "locations": "locations"},
    "eventarc": {"triggers": "triggers", "operations": "operations"},
    "iam": {
        "serviceAccounts": "serviceAccounts",
        "roles": "roles",
        "workloadIdentityPools": "workloadIdentityPools",
        "providers": "workloadIdentityPoolProviders",
        "operations": "operations",
    },
    "logging": {"metrics": "logMetrics"},
    "monitoring": {
        "alertPolicies": "alertPolicies",
        "dashboards": "dashboards",
        "notificationChannels": "notificationChannels",
    },
    "pubsub": {"topics": "topics", "subscriptions": "subscriptions"},
    "run": {"services": "services", "revisions": "revisions", "operations": "operations"},
    "secretmanager": {"secrets": "secrets", "versions": "versions"},
    "serviceusage": {"services": "services", "operations": "operations"},
}
# What the deployment of a function may demand beyond its own permission: the worse reading of Google's pages.
EVENTARC = ("locations.get", "providers.get", "triggers.get", "triggers.getIamPolicy", "triggers.list")
OF_A_TRIGGER = {
    "POST": (*EVENTARC, "triggers.create", "triggers.delete", "triggers.setIamPolicy", "triggers.undelete"),
    "PATCH": (*EVENTARC, "triggers.update"),
}
PREFIXES = {"cloudresourcemanager": "resourcemanager"}
VERBS = {
    ("aiplatform", "cancel"): "aiplatform.customJobs.cancel",
    ("cloudbuild", "cancel"): "cloudbuild.builds.update",
    ("cloudfunctions", "generateUploadUrl"): "cloudfunctions.functions.sourceCodeSet",
    ("cloudscheduler", "pause"): "cloudscheduler.jobs.pause",
    ("cloudscheduler", "resume"): "cloudscheduler.jobs.enable",
    ("cloudscheduler", "run"): "cloudscheduler.jobs.run",
    ("iam", "undelete"): "iam.roles.undelete",
    ("iamcredentials", "generateAccessToken"): "iam.serviceAccounts.getAccessToken",
    ("iamcredentials", "generateIdToken"): "iam.serviceAccounts.getOpenIdToken",
    ("pubsub", "acknowledge"): "pubsub.subscriptions.consume",
    ("pubsub", "modifyAckDeadline"): "pubsub.subscriptions.consume",
    ("pubsub", "modifyPushConfig"): "pubsub.subscriptions.update",
    ("pubsub", "publish"): "pubsub.topics.publish",
    ("pubsub", "pull"): "pubsub.subscriptions.consume",
    ("pubsub", "seek"): "pubsub.subscriptions.consume",
    ("secretmanager", "access"): "secretmanager.versions.access",
    ("secretmanager", "addVersion"): "secretmanager.versions.add",
    ("secretmanager", "disable"): "secretmanager.versions.disable",
    ("secretmanager", "enable"): "secretmanager.versions.enable",
    ("serviceusage", "batchEnable"): "serviceusage.services.enable",
    ("serviceusage", "disable"): "serviceusage.services.disable",
    ("serviceusage", "enable"): "serviceusage.services.enable",
    ("serviceusage", "generateServiceIdentity"): "serviceusage.services.generateServiceIdentity",
}
# A write also requires `actAs` on each service account as which the new resource runs.
ACCOUNT_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "aiplatform": (("jobSpec", "serviceAccount"),),
    "cloudfunctions": (
        ("serviceConfig", "serviceAccountEmail"),
        ("buildConfig", "serviceAccount"),
        ("eventTrigger", "serviceAccountEmail"),
    ),
    "cloudscheduler": (
        ("httpTarget", "oidcToken", "serviceAccountEmail"),
        ("httpTarget", "oauthToken", "serviceAccountEmail"),
    ),
    "cloudbuild": (("serviceAccount",),),
    "pubsub": (
        ("pushConfig", "oidcToken", "serviceAccountEmail"),
        ("subscription", "pushConfig", "oidcToken", "serviceAccountEmail"),
    ),
    "run": (("spec", "template", "spec", "serviceAccountName"), ("template", "serviceAccount")),
}
