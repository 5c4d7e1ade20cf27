"""A self-hosted W&B whose certificate is signed by an authority of its own: who trusts it, and what the others say."""

import ipaddress
import logging
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import functions_framework
import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509

from deploy.cloud.deployment import Deployment
from deploy.cloud.doctor import wandb as doctor
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Finding, Outcome
from deploy.cloud.doctor.revisions import Revision
from deploy.local.servers.wandb.app import create_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from deploy.local.stack import DEFAULT_CONFIG
from deploy.operate.plan import plan
from functions.poll import handler as poll
from functions.status import handler as status
from shared.adapters.wandb import Graphql
from shared.config.launch_config import LaunchConfig
from shared.config.settings import PollSettings, Settings, StatusSettings, SubmitSettings, load
from shared.core.errors import SettingsError
from shared.core.launch import RunPath
from tests.cloud.certificates import Certificates, make_certificates

ROOT = Path(__file__).parent.parent.parent
KEY = "planted-key-" * 4
ASK = "query Viewer { viewer { username } }"
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
NOT_TRUSTED = "shows a certificate that is not trusted: "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make the authority of this W&B, and its certificate."""
    return make_certificates(tmp_path_factory.mktemp("wandb"), [LOOPBACK])


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make an authority that has signed nothing here."""
    return make_certificates(tmp_path_factory.mktemp("another"))


@pytest.fixture(scope="module")
def wandb(made: Certificates) -> Iterator[str]:
    """Serve W&B's stand-in, with a Vertex queue, over HTTPS."""
    state = State(api_keys=[KEY], entity="team")
    state.make_queue("team", "vertex", config=DEFAULT_CONFIG, resource="gcp-vertex")
    with serving(create_app(state), tls=(made.leaf, made.key)) as url:
        yield url


@pytest.fixture(autouse=True)
def _settings(wandb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the functions all settings but the authority, and nothing from this machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_CA_FILE", *BUNDLES):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "WANDB_BASE_URL": wandb,
        "WANDB_API_KEY": KEY,
        "GOOGLE_CLOUD_PROJECT": "p",
        "VERTEX_LOCATION": "us-central1",
        "LEDGER_BUCKET": "ledger",
        "LAUNCH_ENTITY": "team",
        "LAUNCH_QUEUES": "vertex",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def _logs() -> Iterator[None]:
    """Put the logs back as they were: a function sets them when it is wired."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_without_the_setting_it_is_refused_and_the_setting_named(wandb: str) -> None:
    """A query, and a mutation too, of which it is certain that nothing was sent."""
    client = Graphql(wandb, KEY)
    for ask in (client.query, client.mutate):
        with pytest.raises(SettingsError) as refused:
            ask(ASK, {})
        where = wandb.removeprefix("https://")
        assert str(refused.value).startswith(f"W&B at {where} {NOT_TRUSTED}")
        assert "WANDB_CA_FILE is not set; for a self-hosted W&B it names the PEM file" in str(refused.value)
        assert KEY not in str(refused.value)


def test_with_it_the_call_succeeds(wandb: str, made: Certificates) -> None:
    """Over a connection that is verified."""
    assert Graphql(wandb, KEY, ca_file=str(made.authority)).query(ASK, {})["viewer"]["username"]


def test_another_authority_is_not_enough(wandb: str, another: Certificates) -> None:
    """The file is named, for it is the wrong one."""
    with pytest.raises(SettingsError, match=f"WANDB_CA_FILE is {another.authority}; "):
        Graphql(wandb, KEY, ca_file=str(another.authority)).query(ASK, {})


def test_a_certificate_for_another_host_is_refused(another: Certificates) -> None:
    """Also where its authority is trusted: the error says that it is of another host."""
    tls = (another.leaf, another.key)
    with serving(create_app(State(api_keys=[KEY])), tls=tls) as url, pytest.raises(SettingsError) as refused:
        Graphql(url, KEY, ca_file=str(another.authority)).query(ASK, {})
    assert f"{NOT_TRUSTED}IP address mismatch" in str(refused.value)


@pytest.mark.parametrize("variable", BUNDLES)
@pytest.mark.parametrize("bundle", ["another", "none"])
def test_the_setting_wins_over_a_bundle_of_the_environment(
    wandb: str, made: Certificates, another: Certificates, monkeypatch: pytest.MonkeyPatch, variable: str, bundle: str
) -> None:
    """`requests` reads it by itself, and prefers to its session's setting; also one that does not exist."""
    monkeypatch.setenv(variable, str(another.authority) if bundle == "another" else "/not/there.pem")
    assert Graphql(wandb, KEY, ca_file=str(made.authority)).query(ASK, {})["viewer"]


def test_without_the_setting_a_bundle_of_the_environment_is_read(
    wandb: str, made: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by every other program that uses `requests`."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.authority))
    assert Graphql(wandb, KEY).query(ASK, {})["viewer"]


def test_a_refused_certificate_is_refused_once(made: Certificates) -> None:
    """Another attempt would see the same; and what has once been sent over TLS is never sent again unasked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.leaf, made.key)
    hands: list[str] = []

    def shake(listening: socket.socket) -> None:
        while True:
            connection, peer = listening.accept()
            with connection:
                if peer == ours.getsockname():
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                    hands.append("shaken")
                except ssl.SSLError as exc:
                    hands.append(str(exc.reason))

    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=shake, args=(listening,))
        thread.start()
        try:
            with pytest.raises(SettingsError):
                Graphql(f"https://127.0.0.1:{listening.getsockname()[1]}", KEY).query(ASK, {})
        finally:
            ours.connect(listening.getsockname())
            thread.join()
    assert hands == ["TLSV1_ALERT_UNKNOWN_CA"]


def registered(kind: str) -> None:
    """Let one function, wired anew, ask W&B what it asks for."""
    if kind == "poll":
        poll.build_poll.__wrapped__(load(PollSettings)).run_queue.register("team", ["vertex"], {})
    else:
        tracker = status.build_status.__wrapped__(load(StatusSettings)).status.tracker
        for why in tracker.run_statuses([RunPath("team", "cats", "r1")]).failed.values():
            raise why


@pytest.mark.usefixtures("_logs")
@pytest.mark.parametrize("kind", ["poll", "status"])
def test_the_functions_trust_what_the_setting_names(
    made: Certificates, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Both poll and status."""
    with pytest.raises(SettingsError, match="WANDB_CA_FILE is not set"):
        registered(kind)
    monkeypatch.setenv("WANDB_CA_FILE", str(made.authority))
    registered(kind)


@pytest.mark.usefixtures("_logs")
@pytest.mark.parametrize("name", ["poll", "status"])
def test_a_tick_answers_500_and_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, made: Certificates, name: str
) -> None:
    """At start, before anything is called: somebody has to fix a setting."""
    monkeypatch.setenv("FUNCTION_TARGET", name)
    monkeypatch.setenv("WANDB_CA_FILE", str(made.key))
    {"poll": poll.build_poll, "status": status.build_status}[name].cache_clear()
    served = functions_framework.create_app(name, str(ROOT / "main.py"))  # type: ignore[no-untyped-call]
    answer = served.test_client().post("/")
    assert answer.status_code == 500
    assert answer.get_json()["error"].startswith(f"WANDB_CA_FILE: is '{made.key}', but {made.key} is not a PEM file")


def planned() -> Result:
    """Run plan."""
    return CliRunner().invoke(plan, [])


def test_plan_trusts_what_the_setting_names(made: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the fix if the variable is missing or wrong."""
    refused = planned()
    assert (refused.exit_code, NOT_TRUSTED in refused.stderr) == (1, True)
    monkeypatch.setenv("WANDB_CA_FILE", "no-such.pem")
    assert f"WANDB_CA_FILE: is 'no-such.pem', but {ROOT}/no-such.pem cannot be read" in planned().stderr
    monkeypatch.setenv("WANDB_CA_FILE", str(made.authority))
    assert yaml.safe_load(planned().stdout)["queue"] == "vertex"


def looked(settings: Mapping[str, str], **environ: str) -> Finding:
    """Let doctor check the key in the secret, for functions with these settings; Google is not called."""
    config = LaunchConfig(entity="team", queues=("vertex",))
    case = Case(Deployment("p", "us-central1", config=config), environ=environ)
    case.once("traffic submit", lambda: (Revision("submit-1", 100, "2026-01-01T00:00:00Z", settings),))
    case.once("secret", lambda: KEY)
    finding, *others = case.examined(next(doctor.checks(case)))
    assert not others
    return finding


def test_doctor_trusts_what_the_functions_trust(wandb: str, made: Certificates) -> None:
    """It takes the shell's file too; its fix names the setting that makes the functions trust this W&B."""
    settings, trusts = {"WANDB_BASE_URL": wandb}, {"WANDB_CA_FILE": str(made.authority)}
    assert looked(settings | trusts).outcome is Outcome.OK
    assert looked(settings, **trusts).outcome is Outcome.OK
    refused = looked(settings)
    assert (refused.outcome, NOT_TRUSTED in refused.message) == (Outcome.FAILED, True)
    assert "WANDB_CA_FILE=NAME.pem" in refused.fix


def test_doctor_says_where_it_has_not_the_file_of_the_functions(wandb: str) -> None:
    """The functions may be right: the result is unknown."""
    finding = looked({"WANDB_BASE_URL": wandb, "WANDB_CA_FILE": "/workspace/ca.pem"})
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.message.startswith(
        "WANDB_CA_FILE: is '/workspace/ca.pem', but /workspace/ca.pem cannot be read: No such"
    )


KINDS: list[type[Settings]] = [PollSettings, SubmitSettings, StatusSettings]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("found", ["missing", "folder", "empty", "key", "binary", "cut"])
def test_a_file_that_holds_no_certificate_is_an_error_of_the_settings(
    made: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[Settings], found: str
) -> None:
    """The error names the variable, its value and the file, beside all other mistakes."""
    path, pem = tmp_path / found, made.authority.read_text(encoding="utf-8")
    content = {
        "empty": b"",
        "key": made.key.read_bytes(),
        "binary": ssl.PEM_cert_to_DER_cert(pem),
        "cut": pem[: len(pem) // 2].encode(),
    }
    if found == "folder":
        path.mkdir()
    elif found != "missing":
        path.write_bytes(content[found])
    monkeypatch.setenv("WANDB_CA_FILE", str(path))
    monkeypatch.delenv("LEDGER_BUCKET")
    with pytest.raises(SettingsError) as wrong:
        load(kind)
    first, second = str(wrong.value).split("; ")
    assert first.startswith(f"WANDB_CA_FILE: is '{path}', but {path} ")
    assert re.search(r"Put the file there|`openssl x509 ", first)
    assert second == "LEDGER_BUCKET: is missing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_one_from_the_sources_root(
    made: Certificates, monkeypatch: pytest.MonkeyPatch, kind: type[Settings]
) -> None:
    """Wherever the function is started; without one, nothing changes."""
    assert load(kind).wandb_ca_file == ""
    monkeypatch.setenv("WANDB_CA_FILE", os.path.relpath(made.authority, ROOT))
    assert Path(load(kind).wandb_ca_file).samefile(made.authority)


def test_the_file_goes_into_the_functions() -> None:
    """With the sources, whose root it lies in."""
    assert "!/*.pem" in (ROOT / "deploy" / "cloud" / "functions.gcloudignore").read_text(encoding="utf-8").splitlines()
