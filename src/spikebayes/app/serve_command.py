"""The verb ``serve``: a trained run answers requests over HTTP. Its signature is its options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from cyclopts import Group, Parameter

from spikebayes.app.options import Secret
from spikebayes.app.shared_options import (
    OUT,
    SAMPLING,
    BurnIn,
    CodeName,
    Dt,
    Engine,
    Headroom,
    Masks,
    Samples,
    Steps,
    Tau,
)
from spikebayes.errors import ConfigError
from spikebayes.machine.extras import missing

OF_SERVER = Parameter(group=Group.create_ordered("The server"))
OF_LIMITS = Parameter(group=Group.create_ordered("Limits"))
OF_SAMPLING = Parameter(group=SAMPLING)


def serve_run(
    run: Path,
    *,
    host: Annotated[str, OF_SERVER] = "127.0.0.1",
    port: Annotated[int, OF_SERVER] = 8080,
    token: Annotated[Secret | None, OF_SERVER] = None,
    max_body: Annotated[float, OF_LIMITS] = 16.0,
    max_rows: Annotated[int, OF_LIMITS] = 4096,
    max_samples: Annotated[int, OF_LIMITS] = 1000,
    max_seconds: Annotated[float, OF_LIMITS] = 60.0,
    max_requests: Annotated[int, OF_LIMITS] = 128,
    samples: Samples = 100,
    seed: Annotated[int, OF_SAMPLING] = 0,
    coverage: Annotated[float, OF_SAMPLING] = 0.9,
    mask_scope: Masks = "row",
    classical: Annotated[bool, OF_SAMPLING] = False,
    steps: Steps = None,
    burn_in: BurnIn = None,
    dt: Dt = 1e-3,
    tau: Tau = None,
    code: CodeName = "lif",
    headroom: Headroom = 4.0,
    engine: Engine = "auto",
) -> None:
    """Answer requests over HTTP, by the Open Inference Protocol v2, until SIGTERM or Ctrl-C.

    The model's name is the folder's. A request sends one tensor named input, rows of numbers in the order of the
    columns, or a tensor for each column by its name. The answer has mean, std, lower and upper (classes: the columns
    that predict writes), or what the request names as outputs: samples, model_std, noise_std and outside too. A
    request may set samples, seed and coverage as parameters; the same seed gives the same bits, whatever other
    requests are served meanwhile. /metrics is for Prometheus.

    Args:
        run: folder that fit wrote.
        host: address to listen at; one that other machines can reach needs a token.
        port: port to listen at; 0 takes any that is free.
        token: secret that clients must send as Authorization: Bearer TOKEN, except for health checks; it may be given
            in the environment as SPIKEBAYES_TOKEN instead, where process lists do not show it.
        max_body: largest size of a request, MiB.
        max_rows: largest number of rows in a request.
        max_samples: largest number of samples per row.
        max_seconds: longest time for a request, from its first byte to its answer.
        max_requests: largest number of requests at a time; more are refused.
        seed: seed of the masks, unless a request sets one.
        coverage: coverage of intervals and sets, unless a request sets one.
        classical: answer with the non-spiking network instead.
    """
    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import load_run

    try:
        from spikebayes.app.server.listening import ENVIRONMENT, listening, serve_until_stopped, url_of
        from spikebayes.app.server.served_model import ServedModel
        from spikebayes.app.server.service import Limits, Service
    except ModuleNotFoundError as error:
        raise missing(error, "serve") or error from error

    given = str(token or os.environ.get(ENVIRONMENT) or "")
    if not given.isascii() or not given.isprintable() or " " in given:
        raise ConfigError("a token must have visible ASCII characters only, without spaces")
    limits = Limits(max_body, max_seconds, max_requests)
    with listening(host, port, guarded=bool(given)) as listener:
        loaded = load_run(run)
        network = None if classical else network_of(loaded, dt, tau, code, headroom)
        settings = {"steps": steps, "burn_in": burn_in, "mask_scope": mask_scope, "engine": engine}
        model = ServedModel(
            run.resolve().name, loaded, network, samples, seed, coverage, max_rows, max_samples, settings
        )
        OUT.print(f"{run} is served at {url_of(listener)}/v2/models/{quote(model.name)}; Ctrl-C ends it")
        serve_until_stopped(Service(model, limits), listener, given or None)
    OUT.print("stopped; every request that was running was answered")
