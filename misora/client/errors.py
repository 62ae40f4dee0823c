"""Every error that Misora raises on purpose, as one tree; it knows nothing of how they are shown.

    MisoraError                  exit code 1: it failed, the message says what to do
    ├── UsageError               exit code 2: the caller's request cannot be meant (empty prompt, impossible size …)
    ├── MediaError               a video or image file that cannot or must not be read or written
    ├── CheckpointError          weights that are missing, truncated, altered or of another shape
    ├── MissingExtraError        an optional part of Misora is not installed
    ├── PolicyError              refused: what may not be made, or a check that is required and not set up
    ├── ProvenanceError          a signature that cannot be made, or a source whose signature does not hold
    ├── ServerError              a Misora server refused, failed, or could not be reached
    └── GenerationError          sampling or decoding could not be completed

A user's mistake is a subclass with a one-sentence message that says what to do next; an ``assert`` is our own bug.
"""


class MisoraError(Exception):
    """Base of all deliberate errors; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(MisoraError):
    """The request itself is impossible; nothing was started."""

    exit_code = 2


class MediaError(MisoraError):
    """A video or image file that cannot, or must not, be read or written."""


class CheckpointError(MisoraError):
    """Weights that are missing, truncated, altered or do not fit the network."""


class MissingExtraError(MisoraError):
    """An optional extra (``misora[world]``, ``misora[train]`` …) is needed and not installed."""


class PolicyError(MisoraError):
    """Refused by the policy; the message names the category and the rule."""


class ProvenanceError(MisoraError):
    """A file cannot be signed, or a source's own signature does not hold."""


class ServerError(MisoraError):
    """A server's answer that is no success: ``status`` (0 where none came), ``code``, ``param``, ``request_id``."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.request_id, self.retry_after = status, code, param, request_id, retry_after


class GenerationError(MisoraError):
    """Sampling or decoding could not be completed."""
