"""Who is at the other end of a frame: what the doorman said of the connection it came on, never a field of the message."""

from dataclasses import dataclass

import zmq

from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.words import Role

LOCAL_USER = "local"


@dataclass(frozen=True)
class Speaker:
    """An authenticated name in a role. On an open door (ipc or loopback without keys) everybody is the one local user."""

    user: str
    role: Role
    open_door: bool = False

    def may_see(self, owner: str) -> bool:
        """Whether this speaker may watch, cancel and download the jobs of `owner`."""
        return self.role is Role.ADMIN or (self.role is Role.USER and self.user == owner)

    @property
    def may_work(self) -> bool:
        """Whether this speaker may run jobs."""
        return self.role is Role.WORKER or self.open_door

    @property
    def may_ask(self) -> bool:
        """Whether this speaker may submit and watch jobs."""
        return self.role in (Role.USER, Role.ADMIN)


LOCAL = Speaker(LOCAL_USER, Role.ADMIN, open_door=True)


def user_id(role: Role, name: str) -> str:
    """Return the User-Id that the doorman gives a connection: `role:name`."""
    return f"{role}:{name}"


def speaker_of(frame: zmq.Frame, *, open_door: bool) -> Speaker:
    """Return who sent `frame`; raise `Refusal(ACCESS)` when the door is not open and the connection has no name."""
    if open_door:
        return LOCAL
    try:
        said = frame.get("User-Id")
    except zmq.ZMQError:
        said = ""
    role, _, name = str(said).partition(":")
    if role not in set(Role) or not name:
        raise Refusal(
            Code.ACCESS,
            "this connection has no name here: connect with a key that `labelferry keys` made for this broker",
        )
    return Speaker(name, Role(role))
