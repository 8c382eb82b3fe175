"""`labelferry sample`: a real project to try things on."""

import click


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--force", is_flag=True, help="Write into a directory that is not empty.")
def sample(directory: str, force: bool) -> None:
    """Make a sample project in DIR: over 100 real image tiles with real segmentations, as a COCO folder."""
    from pathlib import Path

    from labelferry.sample.project import make_sample

    images, objects = make_sample(Path(directory), force=force)
    click.echo(
        f"{directory}: {images} images, {objects} objects. Export it with: labelferry export {directory}", err=True
    )
