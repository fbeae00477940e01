"""The commands, a file each: what a person types, and what is printed. `guardctl.__main__` registers them."""
