"""Options under headings: a command whose help shows which options belong together."""

from typing import Any

import click


class GroupedOption(click.Option):
    """An option with the heading that it stands under."""

    def __init__(self, *arguments: Any, group: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help has a section for each group of options; those without a group come first."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(context):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(context)
            if record is not None:
                group = parameter.group if isinstance(parameter, GroupedOption) else "Options"
                groups.setdefault(group, []).append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
