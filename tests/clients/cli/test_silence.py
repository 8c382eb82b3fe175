"""Nothing is heard of the broker: said once when it begins and once when it ends."""

from labelferry.cli.silence import SILENT_SECONDS, Silence


class Pretended:
    """A client whose silence is set."""

    silence = 0.0


def test_a_silence_is_told_once_and_its_end_once() -> None:
    said: list[str] = []
    silence, client = Silence(), Pretended()
    silence.look()
    silence.client, silence.say = client, said.append
    for seconds in (0.0, SILENT_SECONDS - 0.1, SILENT_SECONDS, 30.0, 0.2, 1.0, SILENT_SECONDS):
        client.silence = seconds
        silence.look()
    assert said == [
        "Nothing is heard of the broker for 5 s: trying to reach it again",
        "The broker answers again",
        "Nothing is heard of the broker for 5 s: trying to reach it again",
    ]
