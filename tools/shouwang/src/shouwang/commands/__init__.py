"""The commands of `shouwang`: one module each, with `main(arguments) -> int`."""
