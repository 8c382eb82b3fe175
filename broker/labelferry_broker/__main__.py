"""Starts a broker: `python -m labelferry_broker --listen ENDPOINT --state DIR`. Prints `ready ENDPOINT` when it serves."""

import argparse
import os
import sys
from pathlib import Path

from labelferry_broker.service import run_broker
from labelferry_broker.settings import BrokerSettings
from labelferry_protocol.endpoints import Endpoint, parse_endpoint
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED, Refusal, unusable
from labelferry_transport.amounts import days, size
from labelferry_transport.collector import search_seldom
from labelferry_transport.descriptors import allow_many_connections
from labelferry_transport.lifeline import Lifeline
from labelferry_transport.logs import LEVELS, Log, start_logging
from labelferry_transport.notice import Notice

log = Log("broker")


def main() -> int:
    """Run a broker until it is told to end; return the exit code."""
    options = _read_options()
    notice = Notice.take()
    start_logging(options.log_level)
    search_seldom()
    lifeline = Lifeline(until_eof=options.until_eof)
    allow_many_connections()
    try:
        settings = BrokerSettings(
            listen=parse_endpoint(options.listen),
            state=options.state.absolute(),
            keys=options.keys.absolute() if options.keys else None,
            until_eof=options.until_eof,
            log_level=options.log_level,
            metrics_port=options.metrics_port,
            keep_days=options.keep_days,
            keep_bytes=options.keep_bytes,
        )
        run_broker(settings, lifeline, _announce, notice)
    except Refusal as refusal:
        print(f"labelferry broker: {refusal.message}", file=sys.stderr)  # noqa: T201 - the sentence a person reads
        return refusal.exit_code
    except OSError as error:
        print(f"labelferry broker: {unusable(error)}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_FAILED
    return EXIT_DONE


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="labelferry broker", description="Hands export jobs to workers.")
    parser.add_argument("--listen", required=True, metavar="ENDPOINT", help="tcp://HOST[:PORT] or ipc://DIRECTORY")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR", help="where ledger and bundles are kept")
    parser.add_argument("--keys", type=Path, metavar="DIR", help="who may connect (made by `labelferry keys`)")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input is closed")
    parser.add_argument("--log-level", choices=LEVELS, default="info")
    parser.add_argument(
        "--metrics-port", type=int, metavar="PORT", help="serve Prometheus metrics at 127.0.0.1:PORT/metrics"
    )
    parser.add_argument(
        "--keep-days",
        type=days,
        default=os.environ.get("LABELFERRY_KEEP_DAYS") or "30",
        metavar="DAYS",
        help="bundles go at this age (default: 30, or LABELFERRY_KEEP_DAYS)",
    )
    parser.add_argument(
        "--keep-bytes",
        type=size,
        default=os.environ.get("LABELFERRY_KEEP_BYTES") or "50GB",
        metavar="SIZE",
        help="the oldest go when all together take more, e.g. 50GB (the default, or LABELFERRY_KEEP_BYTES)",
    )
    return parser.parse_args()


def _announce(endpoint: Endpoint) -> None:
    print(f"ready {endpoint}", flush=True)  # noqa: T201 - whoever started this process waits for that line


if __name__ == "__main__":
    sys.exit(main())
