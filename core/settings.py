"""The one frozen Settings object, and the only reader of the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SOURCE_ROOT = Path(__file__).resolve().parent.parent


def default_data_dir() -> Path:
    """Where an embedded stack keeps everything when GRAY2HUE_DATA_DIR names no folder."""
    return Path.home() / ".local" / "share" / "gray2hue"


class Settings(BaseSettings):
    """Everything that can be set, each by the environment variable GRAY2HUE_<NAME>.

    Sizes are in bytes or pixels and times in seconds, as their names say. A limit of an owner's that is 0 is none, and
    a job's lifetime of 0 days is without end. `faults_dir` is for tests of what happens when parts die.
    """

    model_config = SettingsConfigDict(env_prefix="GRAY2HUE_", frozen=True, extra="ignore")

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str = ""
    broker_url: str = ""
    storage_dir: Path = Path()
    models_dir: Path = SOURCE_ROOT / "models"
    runtimes_dir: Path = Path()
    training_dir: Path = Path()
    secret_key: str = ""

    host: str = "127.0.0.1"
    port: int = Field(default=8220, ge=1, le=65535)
    public_url: str = ""
    web_threads: int = Field(default=16, ge=1)
    cookie_secure: bool = False
    trusted_proxies: int = Field(default=0, ge=0)
    session_lifetime_s: int = Field(default=12 * 3600, ge=60)
    setup_link_lifetime_s: int = Field(default=24 * 3600, ge=60)

    max_upload_bytes: int = Field(default=256 * 2**30, ge=1)
    max_form_parts: int = Field(default=200_000, ge=1)
    max_archive_entries: int = Field(default=200_000, ge=1)
    max_archive_bytes: int = Field(default=1024 * 2**30, ge=1)
    max_entry_bytes: int = Field(default=4 * 2**30, ge=1)
    max_entry_ratio: int = Field(default=1100, ge=1)
    max_path_depth: int = Field(default=32, ge=1)
    max_pixels: int = Field(default=250_000_000, ge=1)
    storage_reserve_bytes: int = Field(default=256 * 2**20, ge=0)
    receiving_lease_s: float = Field(default=300.0, gt=0)
    owner_max_open_jobs: int = Field(default=200, ge=0)
    owner_max_open_photos: int = Field(default=1_000_000, ge=0)
    owner_max_stored_bytes: int = Field(default=0, ge=0)
    job_lifetime_days: int = Field(default=0, ge=0)

    device: Literal["auto", "cpu", "cuda"] = "auto"
    runtime: Literal["auto", "openvino", "torch"] = "auto"
    model_poll_s: float = Field(default=3.0, gt=0)
    photo_memory_bytes: int = Field(default=2**30, ge=1)
    preview_edge_px: int = Field(default=1600, ge=64)
    thumbnail_edge_px: int = Field(default=480, ge=32)

    chunk_pixels: int = Field(default=12_000_000, ge=1)
    chunk_photos: int = Field(default=16, ge=1)
    chunks_in_flight: int = Field(default=4, ge=1)
    lease_s: float = Field(default=30.0, gt=0)
    heartbeat_s: float = Field(default=8.0, gt=0)
    sweep_interval_s: float = Field(default=5.0, gt=0)
    resend_after_s: float = Field(default=30.0, gt=0)
    max_deaths: int = Field(default=3, ge=1)
    chunk_time_limit_s: int = Field(default=1800, ge=1)
    ingest_time_limit_s: int = Field(default=6 * 3600, ge=1)

    restart_delay_s: float = Field(default=1.0, ge=0)
    restart_delay_max_s: float = Field(default=30.0, ge=0)
    faults_dir: Path | None = None

    min_training_photos: int = Field(default=50, ge=2)
    training_yields: bool = True
    training_niceness: int = Field(default=19, ge=0, le=19)

    @model_validator(mode="before")
    @classmethod
    def fill_from_data_dir(cls, values: dict[str, object]) -> dict[str, object]:
        """Derive what was left unset from the data folder."""
        data_dir = Path(str(values.get("data_dir") or default_data_dir())).expanduser().absolute()
        values["data_dir"] = data_dir
        values["storage_dir"] = Path(str(values.get("storage_dir") or data_dir / "store")).absolute()
        values["runtimes_dir"] = Path(str(values.get("runtimes_dir") or data_dir / "runtimes")).absolute()
        values["training_dir"] = Path(str(values.get("training_dir") or data_dir / "training")).absolute()
        values["database_url"] = values.get("database_url") or f"sqlite:///{data_dir / 'gray2hue.db'}"
        return values

    @field_validator("heartbeat_s")
    @classmethod
    def beats_within_the_lease(cls, heartbeat_s: float, info: ValidationInfo) -> float:
        """Two beats fit into a lease, or healthy workers would be taken for dead."""
        if 2 * heartbeat_s > info.data.get("lease_s", 2 * heartbeat_s):
            raise ValueError("at most half of LEASE_S")
        return heartbeat_s

    @property
    def incoming_dir(self) -> Path:
        """Uploads on their way in, on the same file system as the storage folder."""
        return self.storage_dir / ".incoming"

    @property
    def imported_models_dir(self) -> Path:
        """This machine's copies of the model versions that the storage has, a folder each."""
        return self.data_dir / "models"

    @property
    def run_dir(self) -> Path:
        """What a running embedded stack keeps for itself: its address, keys, the scheduler's notes."""
        return self.data_dir / "run"

    @property
    def logs_dir(self) -> Path:
        """Log files of an embedded stack, one per process."""
        return self.data_dir / "logs"
