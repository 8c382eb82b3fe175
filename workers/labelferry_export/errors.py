"""Why an export ends without a bundle."""

from labelferry_protocol.errors import Code, LabelferryError
from labelferry_protocol.words import Stage


class ExportError(LabelferryError):
    """An export cannot go on. The text says what, where and what to do; `item` names the image, file or object."""

    def __init__(self, code: Code, message: str, item: str | None = None, stage: Stage | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.item = item
        self.stage = stage


class ProcessLost(ExportError):
    """A process that the export had started was ended by somebody else, or for want of memory: another try may do better."""
