"""A format of one's own: a csv an image with class, x and y of every object's centre, for tools that count points."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from labelferry_export.findings import Loss
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, loss
from labelferry_export.geometry.measure import measure_all
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.plan import Step
from labelferry_export.tables.csv_table import line_of


def write(job: FormatJob) -> Iterator[Step]:
    """Write the files, a step after every image."""
    names = [each.name for each in job.facts.categories]
    decimals = int(job.options["decimals"])
    for image in job.images():
        instances = job.instances(image)
        said = [each for each in instances if not each.crowd]
        for each in instances:
            if each.crowd:
                message = f"object {each.id} is a crowd, which is no point: left out"
                job.report(loss(Loss.DROPPED, FORMAT.name, message, image, each.id))
        with job.open(f"annotations/centroids/{PurePosixPath(image.bundle_file).with_suffix('.csv')}") as file:
            file.write(line_of(["id", "class", "x", "y"]))
            for each, measures in zip(said, measure_all([each.shape for each in said]), strict=True):
                x, y = round(measures.centroid_x, decimals), round(measures.centroid_y, decimals)
                file.write(line_of([each.id, names[each.category_id - 1], x, y]))
        yield job.step(image, len(instances))


FORMAT = Format(
    name="centroids",
    title="Centroids as csv",
    usage="`pandas.read_csv('annotations/centroids/<image>.csv')`: id, class, x and y of every object's centre, in pixels.",
    properties=Properties(
        holes="respected",
        parts="one point",
        crowds="left out, reported",
        attributes="no",
        splits="folders",
        coordinates="pixels",
    ),
    cost=Cost(image=0.2, object=0.02),
    write=write,
    options={"decimals": Option(2, "digits behind the point")},
    lossiness=Lossiness(
        single=(Loss.DROPPED,),
        alike={Loss.REDUCED: "an object is its centre: its outline is left out"},
        unsaid=(Aspect.ATTRIBUTES, Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
