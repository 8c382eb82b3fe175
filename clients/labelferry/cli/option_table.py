"""The options that shape a bundle, group by group, as `--help` shows them. How their words become values: option_values.py."""

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from labelferry.cli.grouping import GroupedOption
from labelferry.cli.option_values import Seconds
from labelferry_protocol.words import Border

_bundle = partial(click.option, cls=GroupedOption, group="What the bundle holds")
_overlay = partial(click.option, cls=GroupedOption, group="How overlays look")
_selection = partial(click.option, cls=GroupedOption, group="What is selected (nothing said is everything)")
_class = partial(click.option, cls=GroupedOption, group="What classes are called")
_split = partial(click.option, cls=GroupedOption, group="How images are split")
_job = partial(click.option, cls=GroupedOption, group="How the job runs")

EXPORT_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _bundle("--name", metavar="TEXT", help="Name of the project in the bundle; its folder's by default."),
    _bundle("--source-format", metavar="NAME", help="Form of the project; recognised by default."),
    _bundle("--images/--no-images", default=True, help="Copy the original images, bit for bit."),
    _bundle(
        "--image-format",
        type=click.Choice(["original", "png", "jpeg", "webp", "tiff"]),
        help="What the images become; the originals by default.",
    ),
    _bundle("--image-quality", type=click.IntRange(1, 100), help="Of jpeg and webp (90)."),
    _bundle(
        "--max-side",
        type=click.IntRange(1),
        metavar="PX",
        help="Scale larger images down to this longer side, outlines along with them.",
    ),
    _bundle(
        "--page", type=click.IntRange(1), metavar="N", help="Of image files with several pages, the one to export (1)."
    ),
    _bundle("--visualizations/--no-visualizations", default=True, help="Draw overlays."),
    _overlay("--fill-opacity", type=click.FloatRange(0, 1), help="Of overlays; 0 leaves shapes unfilled."),
    _overlay(
        "--stroke", "stroke_width", type=click.IntRange(0, 64), help="Outline width of overlays in px; 0 draws none."
    ),
    _overlay("--numbers/--no-numbers", default=True, help="Draw the objects' numbers."),
    _overlay("--color-by", type=click.Choice(["class", "instance"]), help="What gives an object its colour."),
    _bundle(
        "--format",
        "formats",
        multiple=True,
        metavar="NAME",
        help="Annotation format, repeatable (coco and json by default; none for none).",
    ),
    _bundle(
        "--format-option",
        "format_options",
        multiple=True,
        metavar="FORMAT.KEY=VALUE",
        help="An option of one format, repeatable.",
    ),
    _bundle(
        "--metrics",
        multiple=True,
        metavar="NAME",
        help="Metric tables, repeatable (csv and xlsx by default; none for none).",
    ),
    _bundle(
        "--metrics-option",
        "metric_options",
        multiple=True,
        metavar="NAME.KEY=VALUE",
        help="An option of one metric table, as csv.bom=true; repeatable.",
    ),
    _bundle(
        "--scale",
        type=click.FloatRange(0, 1e6, min_open=True),
        metavar="UM_PER_PX",
        help="Micrometres per pixel; lengths stay in pixels without it.",
    ),
    _selection("--select", multiple=True, metavar="GLOB", help="Only images whose name matches, repeatable."),
    _selection("--exclude", multiple=True, metavar="GLOB", help="No images whose name matches, repeatable."),
    _selection(
        "--images-from", metavar="FILE", help="Only images that the file lists, by name or id: text, csv or json."
    ),
    _selection("--objects-from", metavar="FILE", help="Only objects that the file lists, by id."),
    _selection(
        "--class",
        "classes",
        multiple=True,
        metavar="NAME",
        help="Only objects of this class, as it is called after --map-class; repeatable.",
    ),
    _selection(
        "--where",
        metavar="CONDITION",
        help="Only objects whose attributes meet it: \"score >= 0.5 and stage in ('a', 'b') and image.patient != 'p3'\".",
    ),
    _selection(
        "--min-area", type=click.FloatRange(0), metavar="AREA", help="In px^2, or in um^2 with --scale; included."
    ),
    _selection("--max-area", type=click.FloatRange(0), metavar="AREA", help="The same, from above."),
    _selection(
        "--border",
        type=click.Choice([each.value for each in Border]),
        help="Objects that touch the border of their image.",
    ),
    _selection("--annotated-only/--with-empty", default=None, help="Leave out images without objects."),
    _class(
        "--map-class",
        multiple=True,
        metavar="OLD=NEW",
        help="Rename a class, or merge several into one; OLD= drops it, *=NEW is every other class. Repeatable.",
    ),
    _class("--class-map", "class_map_file", metavar="FILE", help="The same from a csv (old,new) or json file."),
    _split(
        "--split",
        metavar="NAME=SHARE,...",
        help="For example train=0.8,val=0.1,test=0.1; or source: as the project itself is split.",
    ),
    _split(
        "--split-by",
        metavar="GROUP",
        help="What no split cuts: name (default), folder, regex:REGEX (its first group), attribute:NAME (of images).",
    ),
    _split("--seed", type=click.IntRange(-(2**63), 2**64 - 1), help="Another number, another split (0)."),
    _job(
        "--on-error",
        type=click.Choice(["fail", "skip"]),
        help="What to do with what cannot be read or exported: end the job, or warn and go on.",
    ),
    _job(
        "--timeout",
        type=Seconds(0, min_open=True),
        metavar="SECONDS",
        help="Cancel the job by itself after this time.",
    ),
    _job("--keep-partial", is_flag=True, help="On cancel, keep the finished part as a bundle."),
    _job("--template", metavar="NAME", help="Begin with the options saved under this name."),
)
