"""What the verbs of the command line do with a run: read, call, write, say. Their signatures are their options.

What a verb alone needs it imports itself: the parser reads this module before it knows the verb.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from spikebayes.app.fit_command import fit_run
from spikebayes.app.shared_options import (
    ONCE,
    OUT,
    BurnIn,
    CodeName,
    Dt,
    Engine,
    Headroom,
    Masks,
    Samples,
    Steps,
    Tau,
    split_names,
)
from spikebayes.data.tables import check_table_path, read_table
from spikebayes.errors import ConfigError
from spikebayes.machine.files import check_output
from spikebayes.machine.numbers import check_count


def predict(
    run: Path,
    *,
    data: Path,
    out: Path,
    samples: Samples = 100,
    steps: Steps = None,
    burn_in: BurnIn = None,
    dt: Dt = 1e-3,
    tau: Tau = None,
    code: CodeName = "lif",
    headroom: Headroom = 4.0,
    seed: int = 0,
    mask_scope: Masks = "row",
    engine: Engine = "auto",
    classical: bool = False,
    coverage: float = 0.9,
    quantiles: Annotated[str, ONCE] = "",
    cluster: str | None = None,
    resume: bool = False,
) -> None:
    """Predict every row of a table with its uncertainty, and an interval or a set of classes of given coverage.

    Columns for values: mean; model_std, how far samples disagree; noise_std, of observations about the mean; std,
    both together; lower and upper, for a new observation; q0.05 and so on, if asked for. For classes: class, p_LABEL
    of each, entropy, mutual_information, set. For both: outside, the columns in which a row lies outside what was
    trained on.

    Args:
        run: folder that fit wrote.
        data: table of rows; columns are matched by name, and the target may be missing.
        out: table to write: .csv (also .csv.gz, .tsv), .parquet, .arrow, .feather or .npz.
        seed: seed of the masks.
        classical: answer with the non-spiking network instead.
        coverage: share of new observations that lower to upper, or set, should contain.
        quantiles: quantiles of a new observation to write, separated by commas, as 0.05,0.5,0.95; a column each.
        cluster: processes that share the work: local:N starts N of them here, tcp://HOST:PORT uses a Dask scheduler.
        resume: continue after the rows that an interrupted predict of the same data into the same table has finished.
    """
    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import load_run, read_by
    from spikebayes.app.streaming import predict_table

    check_table_path(out)
    check_output(out, [data, *read_by(run)])
    loaded = load_run(run)
    settings = {"steps": steps, "burn_in": burn_in, "seed": seed, "mask_scope": mask_scope, "engine": engine}
    count, outside, by = predict_table(
        loaded,
        run,
        data,
        out,
        network=None if classical else network_of(loaded, dt, tau, code, headroom),
        given=settings | {"dt": dt, "tau": tau, "code": code, "headroom": headroom, "classical": classical},
        samples=samples,
        coverage=coverage,
        quantiles=_levels(quantiles),
        resume=resume,
        say=OUT.print,
        cluster=cluster,
        **settings,
    )
    OUT.print(f"predicted {count} rows x {samples} samples ({by}); written to {out}")
    OUT.print(f"{outside} of {count} rows lie outside what was trained on; the column 'outside' names the columns")


def compare_run(
    run: Path,
    *,
    data: Path,
    out: Path = Path("report.html"),
    samples: Samples = 100,
    steps: Steps = None,
    burn_in: BurnIn = None,
    dt: Dt = 1e-3,
    tau: Tau = None,
    code: CodeName = "lif",
    headroom: Headroom = 4.0,
    seed: int = 0,
) -> None:
    """Test whether the spiking network keeps the classical predictive distribution; print a verdict, write a report.

    Args:
        run: folder that fit wrote.
        data: table of rows that were not trained on; with the target column the report scores both networks, and rows
            without a target are left out.
        out: HTML page to write.
        seed: first of the three seeds that are used.
    """
    asked = dict(locals())

    from spikebayes.app.code_option import network_of
    from spikebayes.app.command_text import command_text
    from spikebayes.app.run_folder import load_run, read_by
    from spikebayes.app.run_report import write_comparison
    from spikebayes.app.table_comparison import compare_table
    from spikebayes.app.table_scores import with_targets_if_any
    from spikebayes.app.training_table import rows_to_judge

    check_output(out, [data, *read_by(run)])
    loaded = load_run(run)
    given, origin = rows_to_judge(loaded, data)
    table = with_targets_if_any(loaded, given)
    if (left_out := len(given) - len(table)) > 0:
        origin += f", without {left_out} whose target is missing"
    loaded.targets(table)  # a bad target column is refused before the work
    network = network_of(loaded, dt, tau, code, headroom)
    budget = {"samples": samples, "steps": steps, "burn_in": burn_in}
    comparison, network = compare_table(loaded, table, network=network, seed=seed, **budget, progress=True)
    origin = f"{len(table)} rows of {origin}"
    title = f"{loaded.schema.target}, {data.name}"
    commands = [command_text("compare", compare_run, asked)]
    if "data" in loaded.config:
        commands.insert(0, command_text("fit", fit_run, loaded.config | {"out": run}))
    write_comparison(loaded, network, table, comparison, out, title=title, origin=origin, commands=commands)
    OUT.print(f"{run}, on {origin}")
    OUT.print(comparison.summary())
    OUT.print(f"report written to {out}")


def score_run(
    run: Path,
    *,
    data: Path,
    json: Path | None = None,
    coverage: float = 0.9,
    samples: Samples = 100,
    steps: Steps = None,
    burn_in: BurnIn = None,
    dt: Dt = 1e-3,
    tau: Tau = None,
    code: CodeName = "lif",
    headroom: Headroom = 4.0,
    seed: int = 0,
    mask_scope: Masks = "row",
    engine: Engine = "auto",
) -> None:
    """Score the classical and the spiking network on rows whose targets are known.

    Args:
        run: folder that fit wrote.
        data: table of rows with the target column that were not trained on; rows without a target are left out.
        json: file to write the scores to.
        coverage: share of observations that intervals or sets should contain.
        seed: seed of the masks, which are the same for both.
    """
    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import load_run, read_by
    from spikebayes.app.table_scores import score_table, with_targets
    from spikebayes.app.training_table import rows_trained_on
    from spikebayes.machine.checked_files import write_json
    from spikebayes.machine.versions import versions

    if json is not None:
        check_output(json, [data, *read_by(run)])
    loaded, table = load_run(run), read_table(data)
    known = with_targets(loaded, table)
    seen = rows_trained_on(loaded, table)
    settings = {"samples": samples, "steps": steps, "burn_in": burn_in, "seed": seed}
    settings |= {"mask_scope": mask_scope, "engine": engine}
    network = network_of(loaded, dt, tau, code, headroom)
    found = score_table(loaded, known, network=network, coverage=coverage, progress=True, **settings)
    OUT.print(f"{run}, on {found.rows} rows of {data}")
    if (left_out := len(table) - found.rows) > 0:
        OUT.print(f"{left_out} of {len(table)} rows are left out: their target is missing")
    OUT.print(f"{found.outside} of {found.rows} rows lie outside what was trained on")
    OUT.print(str(found))
    if seen is None:
        OUT.print("it is not known whether rows were trained on: the training table is missing or has changed")
    elif seen:
        OUT.print(
            f"warning: {seen} of {found.rows} rows were trained on, or equal rows that were: both score too well"
        )
    if json is not None:
        given = {"data": str(data), "trained_on": seen, "dt": dt, "tau": tau, "code": code, "headroom": headroom}
        write_json(json, found.to_dict() | given | settings | {"versions": versions()}, "spikebayes.score/1")
        OUT.print(f"written to {json}")


def info(run: Path) -> None:
    """Describe a trained run.

    Args:
        run: folder that fit wrote.
    """
    from spikebayes.app.cross_validation import KEY as CROSSED
    from spikebayes.app.cross_validation import CrossValidation
    from spikebayes.app.run_folder import load_run
    from spikebayes.app.standing import KEY, Standing
    from spikebayes.app.table_run import networks_of
    from spikebayes.data.kinds import Levels

    loaded = load_run(run)
    schema, fitted = loaded.schema, loaded.fitted
    OUT.print(f"{run}: {schema.task} of {schema.target!r} from {len(schema.features)} columns")
    OUT.print(f"columns   {schema}")
    for name, column in schema.columns.items():
        if isinstance(column, Levels):
            OUT.print(f"  {name}: {', '.join(level or 'missing' for level in column.levels)}")
    if schema.classes:
        OUT.print(f"classes   {', '.join(schema.classes)}")
    OUT.print(f"network   {loaded.architecture}")
    history = dict(fitted.history)
    stands, crossed = history.pop(KEY, None), history.pop(CROSSED, None)
    OUT.print(f"training  {history}")
    if stands is not None:
        OUT.print(f"scores    {Standing.from_dict(stands)}")
    if crossed is not None:
        OUT.print(f"scores    {CrossValidation.from_dict(crossed)}")
    if fitted.noise == "row":
        OUT.print("noise     predicted by the network for each row")
    elif fitted.noise_std is not None:
        told = [f"{std:.4g}" for std in fitted.noise_std.tolist()]
        each = told[0] if len(told) == 1 else ", ".join(map(" of ".join, zip(told, schema.output_names, strict=True)))
        OUT.print(f"noise     standard deviation {each}, of all rows")
    if (known := loaded.predictor.conformal) is not None:
        OUT.print(f"intervals calibrated on {known.rows} rows that were held out of training")
    OUT.print(f"versions  {loaded.versions}")
    for network in networks_of(loaded.network()):
        OUT.print(str(network))


def energy_of_run(
    run: Path,
    *,
    data: Path | None = None,
    rows: int = 100,
    json: Path | None = None,
    samples: Samples = 100,
    steps: Steps = None,
    burn_in: BurnIn = None,
    dt: Dt = 1e-3,
    tau: Tau = None,
    code: CodeName = "lif",
    headroom: Headroom = 4.0,
    seed: int = 0,
    mask_scope: Masks = "row",
    engine: Engine = "auto",
) -> None:
    """Count the operations of a prediction, spiking and classical, and estimate its energy on several devices.

    Args:
        run: folder that fit wrote.
        data: table of rows to predict; by default the rows of the training table that fit held out.
        rows: how many rows to predict at most, counted from the first.
        json: file to write; by default energy.json in the run's folder.
        seed: seed of the masks.
    """
    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import ENERGY, load_run, read_by
    from spikebayes.app.table_run import networks_of, share_of
    from spikebayes.app.training_table import rows_to_judge
    from spikebayes.data.encoding import encode_features
    from spikebayes.evaluate.energy.energy import energy
    from spikebayes.evaluate.energy.text import statement
    from spikebayes.machine.checked_files import write_json
    from spikebayes.machine.versions import versions

    check_count("rows", rows, 1)
    loaded = load_run(run)
    out = run / ENERGY if json is None else json
    table, origin = rows_to_judge(loaded, data)
    check_output(out, [*([data] if data else []), *read_by(run)])
    some = table.iloc[:rows]
    x = loaded.fitted.scaling.inputs(encode_features(some, loaded.schema))
    spiking = network_of(loaded, dt, tau, code, headroom)
    networks, share = networks_of(spiking), share_of(spiking, samples, least=2)
    bills = [
        energy(
            network,
            x,
            samples=share,
            steps=steps,
            burn_in=burn_in,
            seed=seed,
            mask_scope=mask_scope,
            engine=engine,
            model=member.model,
            progress=True,
        )
        for network, member in zip(networks, loaded.members, strict=True)
    ]
    origin = f"{'all' if len(some) == len(table) else f'the first {len(some)} of'} {len(table)} rows of {origin}"
    found = [bill.to_dict() for bill in bills]
    priced = found[0] if len(bills) == 1 else {"members": found}
    write_json(out, {"rows": origin} | priced | {"versions": versions()}, "spikebayes.energy/1")
    OUT.print(f"{run}, on {origin}")
    for k, bill in enumerate(bills):
        if len(bills) > 1:
            OUT.print(f"member {k + 1} of {len(bills)}, which gives one of {len(bills)} samples:")
        OUT.print(statement(bill), markup=False)
    OUT.print(f"written to {out}")


def demo(*, out: Path = Path("demo"), seed: int = 0) -> None:
    """Train, convert, simulate and compare on scikit-learn's diabetes data: LIF neurons, and ReLU units in a code.

    Args:
        out: folder for report.html, predictions.csv and the trained run.
        seed: seed of everything.
    """
    from spikebayes.app.demo import run_demo

    run_demo(out, seed, OUT)


def _levels(text: str) -> list[float]:
    try:
        return [float(level) for level in split_names(text)]
    except ValueError as error:
        raise ConfigError(f"quantiles must be numbers in (0, 1), as 0.05,0.5,0.95; got {text!r}") from error
