"""Submit's settings as doctor sees them: the deployed variables over the launch-config."""

from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from deploy.cloud.doctor.case import Case
from shared.config.launch_config import CONFIG_FILE, LaunchConfig
from shared.config.names import problem
from shared.config.settings import SubmitSettings
from shared.core.errors import SettingsError


class DeployedSettings(SubmitSettings):
    """Submit's settings, without those of this shell. Planning does not open the ledger."""

    ledger_bucket: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings passes all of them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the given values only."""
        return (init_settings,)


def submit_settings(case: Case) -> SubmitSettings:
    """Return submit's settings; before the first build, those that it would have.

    Raises:
        SettingsError: names each wrong setting; never contains a secret.
    """
    deployment = case.deployment
    deployed = {name: value for name, value in case.settings().items() if value}
    given: dict[str, Any] = {
        "GOOGLE_CLOUD_PROJECT": deployment.project,
        "VERTEX_LOCATION": deployment.region,
        "LAUNCH_AGENT_NAME": deployment.name,
        **deployed,
        "WANDB_API_KEY": case.api_key(),
        "WANDB_BASE_URL": case.base_url,
        "WANDB_CA_FILE": case.ca_file,
    }
    try:
        return DeployedSettings(**_of_file(deployment.config), **given)
    except ValidationError as exc:
        errors = exc.errors(include_input=False, include_url=False)
        problems = [problem(DeployedSettings, error) for error in errors]
        raise SettingsError("; ".join(problems)) from exc


def _of_file(config: LaunchConfig) -> dict[str, Any]:
    """Return the file's keys by the fields' aliases, those of a section after a dot."""
    values = {}
    for key, value in config.model_dump(exclude_unset=True, by_alias=True).items():
        values[key] = value
        if isinstance(value, dict):
            values |= {f"{key}.{name}": one for name, one in value.items() if one}
    return {f"{CONFIG_FILE}:{key}": value for key, value in values.items()}
