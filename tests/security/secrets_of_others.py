"""Secrets as they stand in texts of others, each with what must not leave; and texts that have none."""

import base64
import json
import random
import re
import string

_chance = random.Random(7)  # noqa: S311 - the same in each run
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def some(length: int, of: str = ALNUM) -> str:
    """Return random characters, with a letter, a capital and a digit among them."""
    made = "".join(_chance.choice(of) for _ in range(length))
    return made if of != ALNUM or length < 3 else "aZ7" + made[3:]


def pem(kind: str, newline: str = "\n") -> str:
    """Return a private key."""
    lines = [some(64, ALNUM + "+/") for _ in range(4)] + [some(30) + "=="]
    return newline.join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])


KEY40, PASSWORD = some(40, HEX), "hunter2-Correct!"
_JWT = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "RS256", "typ": "JWT"}, {"sub": "1234567890", "aud": "x"})
)
TOKENS = {
    "JSON web token": f"{_JWT}.{some(43)}",
    "JSON web token, cut short": f"{_JWT[:60]}",
    "GitHub": f"ghp_{some(36)}",
    "GitHub, OAuth": f"gho_{some(36)}",
    "GitHub, fine-grained": f"github_pat_{some(22)}_{some(59)}",
    "GitLab": f"glpat-{some(20)}",
    "GitLab, deploy": f"gldt-{some(20)}",
    "Hugging Face": f"hf_{some(34)}",
    "OpenAI": f"sk-{some(48)}",
    "OpenAI, of a project": f"sk-proj-{some(20)}T3BlbkFJ{some(20)}",
    "Anthropic": f"sk-ant-api03-{some(93)}AA",
    "Google, API": f"AIza{some(35)}",
    "Google, access": f"ya29.a0{some(100)}",
    "Google, refresh": f"1//0g{some(60)}",
    "Google, client": f"GOCSPX-{some(28)}",
    "AWS, id": f"AKIA{some(16, string.ascii_uppercase + '234567')}",
    "Slack": f"xoxb-{some(12, string.digits)}-{some(12, string.digits)}-{some(24)}",
    "Slack, app": f"xapp-1-A{some(10)}-{some(13, string.digits)}-{some(64, HEX)}",
    "npm": f"npm_{some(36)}",
    "PyPI": f"pypi-AgEIcHlwaS5vcmc{some(100)}",
    "W&B, new": f"wandb_v1_{some(70)}",
    "Databricks": f"dapi{some(32, HEX)}",
    "SendGrid": f"SG.{some(22)}.{some(43)}",
    "Stripe": f"sk_live_{some(24)}",
    "DigitalOcean": f"dop_v1_{some(64, HEX)}",
    "Vault": f"hvs.{some(95)}",
    "Grafana": f"glsa_{some(32)}_{some(8, HEX)}",
    "Shopify": f"shpat_{some(32, HEX)}",
    "age": f"AGE-SECRET-KEY-1{some(58, 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L')}",
    "Telegram": f"{some(10, '123456789')}:AA{some(33)}",
    "Replicate": f"r8_{some(37)}",
    "Groq": f"gsk_{some(52)}",
    "Twilio": f"SK{some(32, HEX)}",
    "Docker Hub": f"dckr_pat_{some(27)}",
    "AWS, bare": some(40, ALNUM + "+"),
}
_SA = json.dumps({"type": "service_account", "private_key_id": KEY40, "private_key": pem("PRIVATE KEY")}, indent=2)
_BASIC = base64.b64encode(f"api:{KEY40}".encode()).decode()
# a text, and what of it is secret
SHAPES: dict[str, tuple[str, str]] = {name: (f"found {token} in it", token) for name, token in TOKENS.items()}
_TEXTS = [
    ("private key", (key := pem("PRIVATE KEY")), key.splitlines()[2]),
    ("RSA private key", (key := pem("RSA PRIVATE KEY")), key.splitlines()[1]),
    ("OpenSSH private key", (key := pem("OPENSSH PRIVATE KEY")), key.splitlines()[4]),
    ("private key with escapes", (key := pem("PRIVATE KEY", "\\n")), key.split("\\n")[3]),
    ("private key without end", (key := pem("EC PRIVATE KEY"))[:230], key.splitlines()[1]),
    ("private key without beginning", (key := pem("PRIVATE KEY"))[50:], key.splitlines()[3]),
    ("PGP private key", (key := pem("PGP PRIVATE KEY BLOCK")), key.splitlines()[2]),
    ("service account: key", _SA, _SA.split("\\n")[2]),
    ("service account: its id", _SA, KEY40),
    ("service account, in JSON", json.dumps(_SA), KEY40),
    ("Authorization: Basic", f"Authorization: Basic {_BASIC}", _BASIC),
    ("Authorization, as a dict", f"{{'Authorization': 'Basic {_BASIC}'}}", _BASIC),
    ("Authorization without a scheme", f"Authorization: {PASSWORD}", PASSWORD),
    ("Proxy-Authorization", f"Proxy-Authorization: Basic {_BASIC}", _BASIC),
    ("Authorization: Bearer", f"Authorization: Bearer {KEY40}", KEY40),
    ("bearer", f"authorization: bearer {(t := some(20))} was refused", t),
    ("Bearer alone", f"sent Bearer {(t := some(24))}", t),
    ("X-Api-Key", f"X-Api-Key: {(t := some(20))}", t),
    ("PRIVATE-TOKEN", f"curl -H 'PRIVATE-TOKEN: {(t := some(20))}' https://h", t),
    ("Cookie", f"Cookie: session={(t := some(20))}; other=1", t),
    ("--token=", f"run --token={PASSWORD} --epochs 3", PASSWORD),
    ("--token", f"run --token {PASSWORD} --epochs 3", PASSWORD),
    ("--token in a list", f"['--token', '{PASSWORD}', '--epochs', '3']", PASSWORD),
    ("--token in JSON", json.dumps({"args": ["--token", PASSWORD]}, indent=1), PASSWORD),
    ("--password", f"run --password {PASSWORD}", PASSWORD),
    ("--api-key", f"run.py --api-key={PASSWORD}", PASSWORD),
    ("docker login -p", f"docker login -u me -p {PASSWORD} reg", PASSWORD),
    ("curl -u", f"curl -u me:{PASSWORD} https://h", PASSWORD),
    ("api_key in JSON", f'{{"api_key": "{PASSWORD}"}}', PASSWORD),
    ("api_key in JSON in JSON", json.dumps(f'{{"api_key": "{PASSWORD}"}}'), PASSWORD),
    ("api_key in Python", f"{{'api_key': '{PASSWORD}'}}", PASSWORD),
    ("api_key=", f"connect(api_key={PASSWORD}, x=1)", PASSWORD),
    ("apiKey", f'"apiKey":"{PASSWORD}"', PASSWORD),
    ("password:", f"password: {PASSWORD}", PASSWORD),
    ("Password = ", f'Password = "{PASSWORD}"', PASSWORD),
    ("os.environ", f"os.environ['DB_PASSWD'] = '{PASSWORD}'", PASSWORD),
    ("export", f"+ export HF_AUTH={PASSWORD}", PASSWORD),
    ("a variable in JSON", f'{{"name": "GITHUB_PAT", "value": "{PASSWORD}"}}', PASSWORD),
    ("a variable in Python", f"{{'name': 'DB_PASSWD', 'value': '{PASSWORD}'}}", PASSWORD),
    ("a variable in protobuf", f'env {{\n  name: "PASSPHRASE"\n  value: "{PASSWORD}"\n}}', PASSWORD),
    ("sig", f"https://x.blob.core.windows.net/a?sv=1&sig={(t := some(43))}%3D&se=2", t),
    ("X-Goog-Signature", f"https://s.test/o?X-Goog-Signature={(t := some(64, HEX))}&x=1", t),
    ("X-Amz-Signature", f"https://s.test/o?x=1&X-Amz-Signature={(t := some(64, HEX))}", t),
    ("X-Amz-Security-Token", f"X-Amz-Security-Token={(t := some(80))}&x=1", t),
    (
        "AWS pair",
        f"aws_access_key_id = AKIA{some(16, string.ascii_uppercase)}\naws_secret_access_key = {(t := some(40))}",
        t,
    ),
    ("login", f"https://me:{PASSWORD}@git.test/a.git", PASSWORD),
    ("login with @ and /", "postgres://me:p@ss/w@rd@db.test:5432/x", "ss/w@rd"),
    ("login with a token only", f"https://{(t := some(20))}@git.test/a.git", t),
    ("database address", f"DATABASE_URL=postgresql://me:{PASSWORD}@db/x", PASSWORD),
    ("base64 of api:KEY", f"header {_BASIC}", _BASIC),
    ("W&B key after a word", f"wandb: logging in with key {KEY40}", KEY40),
    ("W&B key in .netrc", f"machine api.wandb.ai\n  login user\n  password {KEY40}", KEY40),
    ("password in .netrc", f"machine h login me password {PASSWORD}", PASSWORD),
    ("W&B key as an argument", f"wandb login {KEY40}", KEY40),
    ("Slack's webhook", f"https://hooks.slack.com/services/T0ABCDEFG/B0ABCDEFG/{(t := some(24))}", t),
    ("Discord's webhook", f"https://discord.com/api/webhooks/123456789012345678/{(t := some(68))}", t),
]
SHAPES |= {name: (text, secret) for name, text, secret in _TEXTS}

SECRET_NAMES = re.findall(
    r"\S+",
    """
    HF_AUTH DB_PASSWD DATABASE_URL GITHUB_PAT GIT_CONFIG_VALUE_0 GIT_CONFIG_VALUE_12 PASSPHRASE NETRC DB_PWD MYSQL_PWD
    GOOGLE_CREDENTIALS GOOGLE_APPLICATION_CREDENTIALS AWS_CRED CREDS AZURE_SAS AZURE_STORAGE_CONNECTION_STRING
    SENTRY_DSN SSH_PRIVATE_KEY COOKIE SESSION_ID SIGNATURE AUTHORIZATION BEARER JWT OTP SALT SLACK_WEBHOOK REDIS_URL
    MONGODB_URI PGPASSWORD APIKEY OPENAI_API_KEY TOKEN HF_TOKEN hf_token hfToken apiKey AWS_SECRET_ACCESS_KEY
    AWS_ACCESS_KEY_ID KEY MY_KEY KEY2 GHTOKEN DBPASS DB_PASS SMTP_PASS PASSWORD1 ENCRYPTION_KEY SIGNING_KEY X_API_KEY
    X-API-Key API_KEYS API_TOKENS OAUTH OAUTH2_TOKEN auth NPM_AUTH SECRET SECRETS CLIENT_SECRET WEBHOOK_URL
    PROXY_AUTHORIZATION ACCESS_TOKEN WANDB_API_KEY SESSION_TOKEN PRIVATE MNEMONIC KEYTAB DOCKER_AUTH_CONFIG SSHPASS HMAC
    KUBE_TOKEN SQLALCHEMY_DATABASE_URI AMQP_URL private_key_id
""",
)
HARMLESS_NAMES = re.findall(
    r"\S+",
    """
    KEYBOARD MONKEY TOKENIZERS_PARALLELISM MAX_TOKENS TOKENIZER PATH PATIENCE PATTERN AUTHOR AUTHORS KEYFRAMES
    KEY_VERSION PWD OLDPWD HOME COMPASS BYPASS LAUNCH_QUEUES EPOCHS NUM_TOKENS EOS_TOKEN PUBLIC_KEY PRIMARY_KEY
    launch_key idempotency_key TOKENS COMPAT PIN_MEMORY MAX_NEW_TOKENS PYTHONPATH PATCH_SIZE SIGMA SIGNAL DESIGN ASSIGN
    OPTIMIZER URL WANDB_BASE_URL SEED KEYWORDS KEYPOINTS HOTKEY DISPATCH CREDIT PASSES PASSENGER TOKEN_TYPE SECRET_NAME
    PATCH NCCL_DEBUG pad_token_id encryption_spec_key_name WANDB_API_KEY_FILE
""",
)

SHA1, SHA256 = "0123456789abcdef0123456789abcdef01234567", "ab12cd34" * 8
HARMLESS = rf"""
Collecting torch==2.3.0 (from -r requirements.txt (line 3))
  Downloading nvidia_cublas_cu12-12.1.3.1-py3-none-manylinux1_x86_64.whl (410.6 MB)
Successfully installed torch-2.3.0+cu121 tokenizers-0.19.1 transformers-4.41.2
ERROR: Could not find a version that satisfies the requirement tokn==9 (from versions: none)
    Expected sha256 {SHA256}
         Got        {SHA256}
HEAD is now at 3f2a9c1 Rotate the API key
commit {SHA1}
Merge commit '{SHA1}' into main
{SHA1} refs/heads/add-token
 * [new branch] fix-key -> origin/fix-key
fatal: reference is not a tree: {SHA1}
Note: switching to '{SHA1}'.
git+https://github.com/org/repo.git@{SHA1}
error: pathspec 'secret' did not match any file(s) known to git
us-docker.pkg.dev/project/repo/image@sha256:{SHA256}
projects/123456/locations/us-central1/customJobs/1234567890123456789
projects/p/locations/us-central1/builds/550e8400-e29b-41d4-a716-446655440000
projects/p/secrets/wandb-key/versions/latest
https://console.cloud.google.com/ai/platform/locations/us-central1/training/123?project=my-project
KeyError: 'lr'
KeyError: 'token'
RuntimeError: Error(s) in loading state_dict for Net: Missing key(s) in state_dict: "fc.weight", "fc.bias".
Unexpected key(s) in state_dict: "module.layer1.0.conv1.weight".
ValueError: Unrecognized configuration class; max_tokens: 4096, eos_token: </s>, pad_token_id=0
tokenizer_config.json: 100%|##########| 1.29k/1.29k [00:00<00:00, 8.5MB/s]
Special tokens have been added in the vocabulary
Token indices sequence length is longer than the specified maximum sequence length (1024 > 512)
huggingface/tokenizers: Set the environment variable TOKENIZERS_PARALLELISM=(true | false)
wandb: Syncing run golden-sunset-42
wandb: View run at https://wandb.ai/team/project/runs/k3abcd12
Epoch 3/10: loss=0.2513 acc=0.9132 lr=1e-4 key=layers.0.attn.weight
RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 14.76 GiB total capacity)
The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus
Quota 'X' exceeded. Limit: 0.0 in region us-central1
Permission 'aiplatform.customJobs.create' denied on resource '//aiplatform.googleapis.com/projects/p/locations/l'
You do not have permission to act as service_account: sa@project.iam.gserviceaccount.com (or it may not exist)
The replica workerpool0-0 exited with a non-zero status of 1. Termination reason: Error.
item UnVuUXVldWVJdGVtOjEyMzQ1Njc4OQ== of queue UnVuUXVldWU6MTIzNDU2Nzg5MDEy
launch kabcdefghijklmnopqrstuvwx23 attempt 2
  File "/usr/local/lib/python3.11/site-packages/transformers/tokenization_utils_base.py", line 2029, in from_pretrained
max(model.items(), key=lambda item: item[1])
Enter passphrase (empty for no passphrase):
Basic configuration of the logger
the bearer of this message, basic authentication is off
docker run -u 1000:1000 -p 8080:80 image
https://example.com:8080/path/@scope and user@example.com
ssh login -p 2222 host
labels.launch_key="kabcdefghijklmnopqrstuvwx23"
Authentication failed: the token has expired
Invalid API key: check WANDB_API_KEY
W&B at https://api.wandb.ai answers 403: check the API key and its owner's permissions: permission denied
idempotency_key=42 order-2024-000123
run_config.key: C major
encryption_spec_key_name: projects/p/locations/l/keyRings/r/cryptoKeys/k
sort_key=name primary_key: id partition_key=date
author=alice keyboard=us monkey: george
gs://bucket/staging/2026-11-25/checkpoint-0001/pytorch_model.bin
Step #1 - "build": sha256:{SHA256}: Pulling from library/python
md5Hash: XrY7u+Ae7tCTyyK7j1rNww==
secret: projects/p/secrets/s
LAUNCH_QUEUES=a,b MAX_TOKENS=512 PATIENCE=100 PATTERN=*.py KEYFRAMES=30
num_tokens: 1000000 tokens/s: 5234.12 token_type_ids
the session has expired; session: training
token: 128000 unk_token=<unk>
spec.worker_pool_specs[0].container_spec.env[2].value: should be text
gcloud secrets versions add launch-wandb-api-key --data-file=- --secret=launch-wandb-api-key --project=p1
WANDB_API_KEY: is not set. WANDB_API_KEY_FILE: /secrets/key/latest cannot be read
"""
HARMLESS_LINES = [line for line in HARMLESS.splitlines() if line]
