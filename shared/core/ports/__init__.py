"""What the functions need from outside systems, one module per system.

The adapters implement these protocols, and so do the fakes in the tests.
"""

from shared.core.ports.answers import Answers
from shared.core.ports.build import ArtifactFiles, Builds, Images
from shared.core.ports.ledger import AgentBook, AgentNote, Clock, Ledger, OpenLaunches
from shared.core.ports.messaging import EventTopic, JobLogs, Publisher, WakeUps
from shared.core.ports.pace import LearnedPace, PaceBook
from shared.core.ports.vertex import Compute, CustomJobCall, CustomJobs, FoundJob, Job, Span
from shared.core.ports.wandb import (
    ItemStatus,
    JobArtifacts,
    QueueConfigs,
    QueueItem,
    RunQueue,
    RunStatus,
    RunTracker,
    Sweeps,
)

__all__ = [
    "AgentBook",
    "AgentNote",
    "Answers",
    "ArtifactFiles",
    "Builds",
    "Clock",
    "Compute",
    "CustomJobCall",
    "CustomJobs",
    "EventTopic",
    "FoundJob",
    "Images",
    "ItemStatus",
    "Job",
    "JobArtifacts",
    "JobLogs",
    "LearnedPace",
    "Ledger",
    "OpenLaunches",
    "PaceBook",
    "Publisher",
    "QueueConfigs",
    "QueueItem",
    "RunQueue",
    "RunStatus",
    "RunTracker",
    "Span",
    "Sweeps",
    "WakeUps",
]
