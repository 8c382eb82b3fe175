"""Downloads of bundles: who may have one, how far it is, and what the history keeps of it."""

from msgspec.structs import replace

from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.effects import AdmitDownload, Reply, SaveTransfer
from labelferry_broker.ledger.rows import JobRow, TransferRow
from labelferry_broker.ledger.settings import Asker
from labelferry_broker.ledger.snapshots import find
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import BundleFacts
from labelferry_protocol.requests import (
    DownloadReported,
    GetTransfers,
    OpenDownload,
    ReportDownload,
    Transfers,
    TransferSummary,
)
from labelferry_protocol.tokens import Claims
from labelferry_protocol.words import TransferState

LISTED = 50


def open_download(book: Book, peer: bytes, ref: str, asker: Asker, message: OpenDownload) -> None:
    """Let an asker have a job's bundle, from the start or as a transfer that was cut; one that is complete stays so."""
    row = find(book, asker, message.job_id)
    if row.bundle is not None and row.bundle_attempt is None:
        raise Refusal(Code.GONE, "the bundle was kept as long as this broker keeps them and is gone: export it again")
    if row.bundle is None or row.bundle_attempt is None:
        raise Refusal(Code.NOT_COMPLETED, f"job {row.job_id} has no bundle to download: it is {row.state}")
    if message.transfer_id is None:
        transfer = _new_transfer(book, asker.user, row, row.bundle)
    else:
        found = _own_transfer(book, asker, message.transfer_id)
        if found.job_id != row.job_id:
            raise Refusal(Code.GONE, "that transfer is one of another job: begin a new one")
        complete = found.state is TransferState.COMPLETED
        transfer = found if complete else replace(found, state=TransferState.RUNNING, updated_at=book.now.wall)
    book.save(SaveTransfer(transfer))
    book.shelf.want(row.job_id, book.now.steady + book.settings.download_seconds)
    claims = Claims(
        job_id=row.job_id,
        attempt=row.bundle_attempt,
        size=row.bundle.size,
        sha256=row.bundle.sha256,
        user=asker.user,
        expires_at=book.now.wall + book.settings.token_seconds,
    )
    book.emit(AdmitDownload(peer, ref, transfer.transfer_id, row.bundle, claims))


def report(book: Book, peer: bytes, ref: str, asker: Asker, message: ReportDownload) -> None:
    """Note how far a download is; one that is complete stays so."""
    transfer = _own_transfer(book, asker, message.transfer_id)
    if transfer.state is not TransferState.COMPLETED:
        received = max(transfer.received, min(message.received, transfer.size))
        if message.state is TransferState.RUNNING:
            book.shelf.want(transfer.job_id, book.now.steady + book.settings.download_seconds)
        book.save(SaveTransfer(replace(transfer, received=received, state=message.state, updated_at=book.now.wall)))
    book.emit(Reply(peer, ref, DownloadReported(transfer_id=transfer.transfer_id)))


def list_transfers(book: Book, peer: bytes, ref: str, asker: Asker, message: GetTransfers) -> None:
    """Tell who downloaded a job's bundle."""
    row = find(book, asker, message.job_id)
    rows = book.archive.transfers(row.job_id, LISTED)
    book.emit(Reply(peer, ref, Transfers(job_id=row.job_id, transfers=tuple(map(_summary, rows)))))


def _new_transfer(book: Book, user: str, row: JobRow, bundle: BundleFacts) -> TransferRow:
    book.last_transfer_number += 1
    return TransferRow(
        transfer_id=book.new_id(),
        number=book.last_transfer_number,
        job_id=row.job_id,
        user=user,
        started_at=book.now.wall,
        updated_at=book.now.wall,
        received=0,
        size=bundle.size,
        state=TransferState.RUNNING,
    )


def _own_transfer(book: Book, asker: Asker, transfer_id: str) -> TransferRow:
    transfer = book.archive.transfer(transfer_id)
    if transfer is None or transfer.user != asker.user:
        raise Refusal(Code.GONE, f"there is no transfer {transfer_id} of yours: begin a new one")
    return transfer


def _summary(row: TransferRow) -> TransferSummary:
    return TransferSummary(
        transfer_id=row.transfer_id,
        user=row.user,
        started_at=row.started_at,
        updated_at=row.updated_at,
        received=row.received,
        size=row.size,
        state=row.state,
    )
