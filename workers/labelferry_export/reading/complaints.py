"""What happens when an item of a project cannot be exported: the export ends, or the item is left out and that is written down."""

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, FindingLog, Warn
from labelferry_protocol.errors import Code
from labelferry_protocol.words import OnError

CODES: dict[Finding, Code] = {Finding.REFERENCE_BROKEN: Code.SOURCE}
"""What an export fails with; `ITEM` where there is no row."""
WAY_OUT = "--on-error skip leaves it out and goes on"


class Complaints:
    """Decides by `on_error`; everything it does not raise goes into the log."""

    def __init__(self, on_error: OnError, log: FindingLog) -> None:
        self._on_error = on_error
        self._log = log

    def complain(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """Leave an item out: raise `ExportError`, or log it, as the options say."""
        if self._on_error is OnError.FAIL:
            raise ExportError(CODES.get(code, Code.ITEM), f"{message} ({WAY_OUT})", image)
        self.note(code, message, image, object_id)

    def refuse(self, error: ExportError, code: Finding = Finding.IMAGE_MISSING) -> None:
        """Leave out the item that an error is about: raise it, or log it under `code`, as the options say."""
        if self._on_error is OnError.FAIL:
            raise ExportError(error.code, f"{error.message} ({WAY_OUT})", error.item) from None
        self.note(code, error.message, error.item)

    def note(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """Log what was done about something that is still exported."""
        self._log.add(Warn(code=code, message=message, image=image, object_id=object_id))
