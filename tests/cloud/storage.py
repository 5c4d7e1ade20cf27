"""Cloud Storage's JSON API: buckets, objects and the three kinds of upload."""

import base64
import dataclasses
import hashlib
import json
import re
import urllib.parse
from copy import deepcopy

import google_crc32c

from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.service import Service, unknown
from tests.cloud.state import StoredObject, now

UPLOADS = "https://storage.googleapis.com/upload-source/"


class Storage(Service):
    """Buckets and their objects; objects have generations and preconditions."""

    name = "storage"

    def answer(self, call: Call) -> Json | Answer:
        """Answer one call of the JSON API, or accept a function's source at its upload URL."""
        if call.path.startswith("/upload-source/"):
            self.state.uploads[call.path.rpartition("/")[2]] = call.raw
            return Answer()
        path = call.headers["raw-path"].partition("?")[0]
        if re.fullmatch("/storage/v1/projects/[^/]+/serviceAccount", path):
            agent = f"service-{self.state.number}@gs-project-accounts.iam.gserviceaccount.com"
            return {"kind": "storage#serviceAccount", "email_address": agent}
        found = re.fullmatch(
            r"/(?:upload/|download/)?storage/v1/b(?:/([^/]+)(?:/(iam|o|storageLayout|managedFolders)(?:/([^/]+))?)?)?",
            path,
        )
        if found is None and call.method == "GET" and path.count("/") > 1 and not path.startswith("/storage/v1/"):
            return self.read_plainly(call)
        if found is None:
            raise unknown(call)
        bucket, part, name = (urllib.parse.unquote(each) if each else None for each in found.groups())
        if bucket is None:
            return self.buckets(call)
        if part is None:
            return self.bucket(call, bucket)
        self.state.get(self.full_bucket(bucket))
        if part == "iam":
            return self.iam(call, bucket, testing=name == "testPermissions")
        if part == "storageLayout":
            return {"kind": "storage#storageLayout", "bucket": bucket, "hierarchicalNamespace": {"enabled": False}}
        if part == "managedFolders":
            return {"kind": "storage#managedFolders", "items": []}
        if path.startswith("/upload/"):
            return self.upload(call, bucket)
        return self.object(call, bucket, name) if name else self.listing(call, bucket)

    def full_bucket(self, bucket: str) -> str:
        """Return the full resource of a bucket."""
        return self.full(f"projects/_/buckets/{bucket}")

    def buckets(self, call: Call) -> Json:
        """Create a bucket, or list all of them."""
        if call.method == "GET":
            return {"kind": "storage#buckets", "items": self.state.children(self.full("projects/_/buckets"))}
        body = call.document
        made = {
            "kind": "storage#bucket",
            "id": body["name"],
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{body['name']}",
            "projectNumber": self.state.number,
            "storageClass": "STANDARD",
            "timeCreated": now(),
            "updated": now(),
            "generation": "1",
            "metageneration": "1",
            "locationType": "region",
            **body,
            "location": body.get("location", "US").upper(),
        }
        return self.state.add(self.full_bucket(body["name"]), made)

    def bucket(self, call: Call, bucket: str) -> Json | Answer:
        """Get, change or delete one bucket."""
        full = self.full_bucket(bucket)
        held = self.state.get(full)
        if call.method == "GET":
            return held
        if call.method == "DELETE":
            if any(of == bucket for of, _ in self.state.objects):
                raise Refusal(409, "The bucket you tried to delete is not empty.")
            self.state.remove(full)
            return Answer(status=204)
        merge_patch(held, call.document)
        held |= {"metageneration": str(int(held["metageneration"]) + 1), "updated": now()}
        return held

    def iam(self, call: Call, bucket: str, *, testing: bool) -> Json:
        """Read, replace or test a bucket's IAM policy."""
        full = self.full_bucket(bucket)
        if testing:
            asked = urllib.parse.parse_qs(call.headers["raw-path"].partition("?")[2]).get("permissions", [])
            held = [permission for permission in asked if self.state.allow(call.identity, permission, full)]
            return {"kind": "storage#testIamPermissionsResponse", "permissions": held}
        policy = self.state.policy(full) if call.method == "GET" else self.state.set_policy(full, call.document)
        return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket}", "bindings": [], **policy}

    def listing(self, call: Call, bucket: str) -> Json:
        """List a bucket's objects, all in one page."""
        prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter")
        names = sorted(name for of, name in self.state.objects if of == bucket and name.startswith(prefix))
        folders = {_folder(name, prefix, delimiter) for name in names} - {""} if delimiter else set()
        items = [name for name in names if not delimiter or not _folder(name, prefix, delimiter)]
        described = [self.described(bucket, name) for name in items]
        return {"kind": "storage#objects", "items": described, "prefixes": sorted(folders)}

    def object(self, call: Call, bucket: str, name: str) -> Json | Answer:
        """Read, change or delete one object."""
        stored = self.state.objects.get((bucket, name))
        if stored is None:
            # without permission to list, a missing object is also denied
            self.state.demand(
                call.identity, "storage.objects.list", f"storage.googleapis.com/projects/_/buckets/{bucket}"
            )
            raise Refusal(404, f"No such object: {bucket}/{name}")
        check_preconditions(call, stored)
        if call.method == "DELETE":
            del self.state.objects[bucket, name]
            return Answer(status=204)
        if call.method == "PATCH":
            fields = deepcopy(stored.fields)
            merge_patch(fields, call.document)
            changed = dataclasses.replace(stored, fields=fields, metageneration=stored.metageneration + 1)
            self.state.objects[bucket, name] = changed
        elif call.query.get("alt") == "media":
            headers = {"x-goog-hash": f"crc32c={crc32c(stored.content)}", "x-goog-generation": str(stored.generation)}
            return Answer(stored.content, media_type="application/octet-stream", headers=headers)
        return self.described(bucket, name)

    def upload(self, call: Call, bucket: str) -> Json | Answer:
        """Store an object from a simple, multipart or resumable upload."""
        if "upload_id" in call.query:
            fields = self.state.sessions.pop(call.query["upload_id"])
            return self.store(call, bucket, call.raw, fields)
        kind = call.query.get("uploadType", "media")
        if kind == "resumable":
            session = f"session-{next(self.state.numbers)}"
            self.state.sessions[session] = {"name": call.query.get("name"), **call.document}
            query = urllib.parse.urlencode({**call.query, "upload_id": session})
            address = f"https://{call.host}{call.headers['raw-path'].partition('?')[0]}?{query}"
            return Answer(headers={"Location": address, "X-GUploader-UploadID": session})
        if kind == "multipart":
            fields, content = multipart(call.headers["content-type"], call.raw)
            return self.store(call, bucket, content, {"name": call.query.get("name"), **fields})
        return self.store(call, bucket, call.raw, {"name": call.query["name"]})

    def store(self, call: Call, bucket: str, content: bytes, fields: Json) -> Json:
        """Store an object's next generation, if its preconditions hold."""
        name = fields["name"]
        check_preconditions(call, self.state.objects.get((bucket, name)))
        generation = 1_700_000_000_000_000 + next(self.state.numbers)
        self.state.objects[bucket, name] = StoredObject(content, generation, fields=fields)
        return self.described(bucket, name)

    def read_plainly(self, call: Call) -> Answer:
        """Return an object by `/BUCKET/NAME` and Range, as gcloud reads the log of a build."""
        _, bucket, name = call.path.split("/", 2)
        stored = self.state.objects.get((bucket, name))
        if stored is None:
            return Answer(status=404)
        start = int(call.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        content = stored.content[start:]
        return Answer(content, 206 if start else 200, "text/plain") if content else Answer(status=416)

    def described(self, bucket: str, name: str) -> Json:
        """Describe an object as the JSON API does."""
        stored = self.state.objects[bucket, name]
        quoted = urllib.parse.quote(name, safe="")
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{stored.generation}",
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket}/o/{quoted}",
            "mediaLink": f"https://storage.googleapis.com/download/storage/v1/b/{bucket}/o/{quoted}?alt=media",
            "bucket": bucket,
            "generation": str(stored.generation),
            "metageneration": str(stored.metageneration),
            "size": str(len(stored.content)),
            "crc32c": crc32c(stored.content),
            "md5Hash": base64.b64encode(hashlib.md5(stored.content, usedforsecurity=False).digest()).decode(),
            "timeCreated": now(),
            "updated": now(),
            **stored.fields,
            "name": name,
        }


def check_preconditions(call: Call, stored: StoredObject | None) -> None:
    """Refuse with 412 if the object's generation or metageneration differs from the call's."""
    wanted = call.query.get("ifGenerationMatch")
    wanted_meta = call.query.get("ifMetagenerationMatch")
    generation = stored.generation if stored else 0
    metageneration = stored.metageneration if stored else 0
    if wanted not in (None, str(generation)) or wanted_meta not in (None, str(metageneration)):
        raise Refusal(412, "At least one of the pre-conditions you specified did not hold.")


def multipart(content_type: str, content: bytes) -> tuple[Json, bytes]:
    """Split a multipart/related upload into metadata and content."""
    found = re.search(r"""boundary=["']?([^"';]+)""", content_type)
    if found is None:
        raise Refusal(400, "The multipart upload has no boundary.")
    _, metadata, media, *_ = content.split(f"--{found[1]}".encode())
    fields: Json = json.loads(metadata.partition(b"\r\n\r\n" if b"\r\n\r\n" in metadata else b"\n\n")[2])
    separator, end = (b"\r\n\r\n", b"\r\n") if b"\r\n\r\n" in media else (b"\n\n", b"\n")
    return fields, media.partition(separator)[2].removesuffix(end)


def _folder(name: str, prefix: str, delimiter: str) -> str:
    """Return the object's folder directly under `prefix`, or an empty string."""
    head, found, _ = name[len(prefix) :].partition(delimiter)
    return f"{prefix}{head}{delimiter}" if found else ""


def merge_patch(target: Json, changes: Json) -> None:
    """Merge changes into `target`; null deletes (RFC 7396)."""
    for key, value in changes.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge_patch(target[key], value)
        else:
            target[key] = deepcopy(value)


def crc32c(content: bytes) -> str:
    """Return the checksum in Cloud Storage's format."""
    return base64.b64encode(int(google_crc32c.value(content)).to_bytes(4)).decode()
