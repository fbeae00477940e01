"""The commands, by group. Each group is a Typer app of its own, which `guardctl.__main__` puts together."""
