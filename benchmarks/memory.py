"""How much memory a job child takes at most, for a project and for the same one repeated."""

from pathlib import Path

from tests.support.processes import children_of, running_service

from labelferry import Client, Completed, ExportOptions, Progress


def peak_megabytes(root: Path, project: Path, options: ExportOptions) -> float:
    """Export with a fresh worker and return the largest resident size (MB) of any of its children, as the system counted it."""
    peak = 0.0
    with running_service(root, "worker") as service, Client(service.endpoint) as client:
        for event in client.events(client.submit(project, options).job_id):
            if isinstance(event, Progress):
                peak = max([peak, *(_high_water(pid) for pid in children_of(service.processes["worker"].pid))])
        assert isinstance(event, Completed), event
    return peak


def _high_water(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), 0.0)
