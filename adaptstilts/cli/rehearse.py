"""The verb that rehearses a study."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptstilts.cli.options import FormatOption, StudyOptions


def rehearse(
    study: StudyOptions,
    runs: Annotated[int, typer.Option(help="Simulated studies per scenario.", min=10)] = 200,
    items: Annotated[int, typer.Option(help="Test items per language.", min=10)] = 400,
    seed_sd: Annotated[float, typer.Option(help="Standard deviation of scores between seeds, in points.", min=0)] = 1.0,
    model_sd: Annotated[
        float,
        typer.Option(help="Standard deviation between models of the effect of an intermediate task, in points.", min=0),
    ] = 0.3,
    margin: Annotated[float, typer.Option(help="Differences up to this many points do not matter.", min=0.01)] = 1.0,
    form: FormatOption = None,
) -> None:
    """Simulate what a study could find.

    Simulates studies with the same grid and known effects, and analyses each as the real study will be. Shows how often
    the answer is right, how often an effect is claimed that is not there, and how often a real effect is found. Nothing
    is trained, and no data or weights are needed.
    """
    from adaptstilts import questions
    from adaptstilts.cli.progress import Progress
    from adaptstilts.errors import ConfigError
    from adaptstilts.questions import rehearse as rehearsing
    from adaptstilts.reports import formats

    table_format = formats.for_output(form)
    _, plans = study.plans("outline")
    name = plans[0].study.question
    if name is None:
        known = ", ".join(questions.known())
        raise ConfigError(f"{study.config}: it asks no question; add question: with one of {known}")
    question = questions.get(name)
    noise = questions.Noise(seed_sd, model_sd)
    design = rehearsing.design_of(plans, items)
    with Progress() as progress:
        rehearsals = rehearsing.rehearse(question, design, noise, runs, margin, progress.progress)
    document = rehearsing.document(plans[0].study.name, question, rehearsals, design, noise)
    typer.echo(formats.rendered(table_format, document), nl=False)
