"""`wxruntime tiny`: makes a checkpoint for tests."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds give equal files.")
@click.option("--moe", is_flag=True, help="The mixture-of-experts architecture.")
@click.option("--random", "untaught", is_flag=True, help="Leave the weights random: faster, answers nonsense.")
def tiny(directory: Path, seed: int, moe: bool, untaught: bool) -> None:
    """Make a tiny ERNIE 4.5 checkpoint in DIRECTORY (new or empty), for tests; takes seconds on a CPU."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise click.ClickException(f"{directory} exists and is not an empty directory")
    from wxruntime.tiny import Recipe, make_checkpoint

    make_checkpoint(directory, Recipe(seed=seed, moe=moe, taught=not untaught))
