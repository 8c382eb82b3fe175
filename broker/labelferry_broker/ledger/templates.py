"""Templates: a user's export options under a name."""

import msgspec

from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.effects import DropTemplate, Reply, SaveTemplate
from labelferry_broker.ledger.rows import TemplateRow
from labelferry_broker.ledger.settings import Asker
from labelferry_protocol import requests
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.message import Part


def save(book: Book, peer: bytes, ref: str, asker: Asker, message: requests.SaveTemplate) -> None:
    """Keep options under a name, in the place of older ones."""
    check_options(book, message.options)
    names = book.archive.template_names(asker.user)
    limit = book.settings.templates_per_user
    if message.name not in names and len(names) >= limit:
        raise Refusal(Code.QUOTA, f"you have {limit} templates already: delete one first")
    row = TemplateRow(owner=asker.user, name=message.name, options=message.options, saved_at=book.now.wall)
    book.save(SaveTemplate(row))
    _reply(book, peer, ref, row)


def get(book: Book, peer: bytes, ref: str, asker: Asker, message: requests.GetTemplate) -> None:
    """Tell a template."""
    _reply(book, peer, ref, _find(book, asker, message.name))


def delete(book: Book, peer: bytes, ref: str, asker: Asker, message: requests.DeleteTemplate) -> None:
    """Forget a template; one that is not there is forgotten already."""
    if book.archive.template(asker.user, message.name) is not None:
        book.save(DropTemplate(asker.user, message.name))
    book.emit(Reply(peer, ref, requests.TemplateDeleted(name=message.name)))


def list_names(book: Book, peer: bytes, ref: str, asker: Asker, _: requests.ListTemplates) -> None:
    """Tell the names of an asker's templates."""
    names = tuple(book.archive.template_names(asker.user))
    book.emit(Reply(peer, ref, requests.Templates(names=names)))


def check_options(book: Book, *parts: Part) -> None:
    """Refuse options that do not fit into the messages that carry them on, or hold a number that is none (NaN)."""
    for part in parts:
        if not _same_when_kept(part):
            raise Refusal(Code.USAGE, "an option is not a finite number")
    size = sum(len(msgspec.msgpack.encode(part)) for part in parts)
    if size > book.settings.options_bytes:
        raise Refusal(Code.USAGE, f"the options take {size} bytes, over the limit of {book.settings.options_bytes}")


def _same_when_kept(part: Part) -> bool:
    """Whether a part comes back as it was from the store, which keeps JSON."""
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(part), type=type(part)) == part)
    except msgspec.ValidationError:
        return False


def _find(book: Book, asker: Asker, name: str) -> TemplateRow:
    row = book.archive.template(asker.user, name)
    if row is None:
        raise Refusal(
            Code.NO_SUCH_TEMPLATE, f"you have no template {name!r}: `labelferry template list` shows what there is"
        )
    return row


def _reply(book: Book, peer: bytes, ref: str, row: TemplateRow) -> None:
    book.emit(Reply(peer, ref, requests.Template(name=row.name, options=row.options, saved_at=row.saved_at)))
