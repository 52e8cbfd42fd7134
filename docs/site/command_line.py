"""The reference of the command line, made from the Typer app itself."""

from __future__ import annotations

import re
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["command_line"]

_ARGUMENTS, _OTHERS = "Arguments", "Options"
_INTRODUCTION = """\
# The command line

Made from the program itself, gradstep {version}: `gradstep VERB --help` says the same. An option
without a default is not set unless it is given.

"""


def command_line(app: typer.Typer, version: str) -> str:
    """Return the page of an app: its options, then a section for each verb.

    Parameters
    ----------
    app : typer.Typer
        The app.
    version : str
        Of the program.

    Returns
    -------
    str
        Markdown.
    """
    group: Any = typer.main.get_command(app)
    name = group.name
    found = [_INTRODUCTION.format(version=version)]
    listed = [
        f"| [`{name} {verb}`](#{name}-{verb}) | {_prose(command.help).splitlines()[0]} |"
        for verb, command in group.commands.items()
    ]
    found += ["| verb | what it does |\n|---|---|\n", "\n".join(listed), "\n\n"]
    found.append(_tables(group))
    for verb, command in group.commands.items():
        found += [f"## {name} {verb}\n\n", _usage(command, f"{name} {verb}")]
        found += [_prose(command.help), "\n\n", _tables(command)]
    return "".join(found).rstrip() + "\n"


def _usage(command: Any, name: str) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [_value(p) if p.required else f"[{_value(p)}]" for p in arguments]
    return "```text\n" + " ".join([name, *words, "[OPTIONS]"]) + "\n```\n\n"


def _tables(command: Any) -> str:
    """Return a table for each group of options, in the order of --help."""
    groups: dict[str, list[str]] = {}
    hints = get_type_hints(command.callback)
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            panel, name = _ARGUMENTS, f"`{_value(parameter)}`"
        else:
            panel = parameter.rich_help_panel or _OTHERS
            name = ", ".join(f"`{option}`" for option in parameter.opts)
            if not parameter.is_flag:
                name += f" `{parameter.metavar or _kind(hints[parameter.name])}`"
        cells = (name, _default(parameter), _prose(parameter.help or ""))
        groups.setdefault(panel, []).append("| " + " | ".join(map(_cell, cells)) + " |")
    ordered = sorted(groups, key=lambda panel: (panel != _ARGUMENTS, panel == _OTHERS))
    return "".join(_table(panel, groups) for panel in ordered)


def _table(panel: str, groups: Mapping[str, list[str]]) -> str:
    return "\n".join([f"| {panel} | default | |", "|---|---|---|", *groups[panel]]) + "\n\n"


def _value(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _kind(hint: Any) -> str:
    """Return the word that stands for a value of some type."""
    kinds = {hint, *get_args(hint)}
    words = {Path: "PATH", int: "INTEGER", float: "NUMBER"}
    return next((word for kind, word in words.items() if kind in kinds), "TEXT")


def _default(parameter: Any) -> str:
    value = parameter.default
    if value in (None, "", (), []) or value is False or callable(value):
        return ""
    return f"`{value}`"


def _prose(text: str) -> str:
    """Return what a docstring says before its sections, on one line a paragraph."""
    text = cleandoc(text).split("\f")[0]
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(re.sub(r"\s+", " ", paragraph).strip() for paragraph in paragraphs)


def _cell(text: str) -> str:
    """Return a text as the cell of a table."""
    return text.replace("\\\\", "\\").replace("|", "\\|").replace("<", "&lt;")
