"""Service: a model behind its limits, which answers requests for inference one after another.

What takes time (reading JSON, predicting, writing answers) is done by one thread, part by part, in the order in which
requests come to it; the loop that talks to clients only passes on, and answers health in between.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from spikebayes.app.server.metrics import Metrics
from spikebayes.app.server.refusals import refusal
from spikebayes.app.server.request import Asked, parameters_of, read_request
from spikebayes.app.server.served_model import ServedModel
from spikebayes.app.server.table_tensors import MATRIX, from_raw
from spikebayes.errors import ConfigError
from spikebayes.machine.numbers import check_count

Result = TypeVar("Result")
MIB = 1 << 20
JSON_BYTES = "Inference-Header-Content-Length"
RAW = "application/octet-stream"


@dataclass(frozen=True)
class Limits:
    """What a client may ask of the server.

    Args:
        body: MiB of a request.
        seconds: from a request's first byte to its answer.
        requests: at a time.

    Raises:
        ConfigError: one is not positive.
    """

    body: float = 16.0
    seconds: float = 60.0
    requests: int = 128

    def __post_init__(self) -> None:
        check_count("max_requests", self.requests, 1)
        for name, value in (("max_body", self.body), ("max_seconds", self.seconds)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} must be a positive number; got {value}")


class Service:
    """A model behind its limits: answers one request after another, until it is told to stop.

    Args:
        model: what answers.
        limits: of requests.
    """

    model: ServedModel
    limits: Limits
    metrics: Metrics
    stopping: bool
    running: int

    def __init__(self, model: ServedModel, limits: Limits) -> None:
        self.model, self.limits, self.metrics = model, limits, Metrics()
        self.stopping, self.running = False, 0
        self._worker = ThreadPoolExecutor(1, "prediction")

    async def infer(self, request: Request) -> Response:
        """The answer to a request for inference, whatever becomes of it."""
        started = time.perf_counter()
        self.running += 1
        self.metrics.running.set(self.running)
        try:
            async with asyncio.timeout(self.limits.seconds):
                response = await self._answer(request)
        except Exception as error:
            response = refusal(error, self.limits.seconds)
        finally:
            self.running -= 1
            self.metrics.running.set(self.running)
        self.metrics.answered(response.status_code, time.perf_counter() - started)
        return response

    def close(self) -> None:
        """Let the thread go; what it is at it finishes."""
        self._worker.shutdown(cancel_futures=True)

    async def _answer(self, request: Request) -> Response:
        if self.stopping:
            raise HTTPException(503, "the server is stopping; use another one, or try again later")
        if self.running > self.limits.requests:
            raise HTTPException(429, f"{self.limits.requests} requests are being answered already; try again later")
        content = await self._body(request)
        model = self.model
        work = await self._do(lambda: model.understood(asked(request, content, model)))
        made = []
        for rows in work.parts():
            if await request.is_disconnected():
                raise ClientDisconnect
            made.append(await self._do(model.predict, work, rows))
        self.metrics.predicted(len(work.x), work.samples)
        return await self._do(lambda: response_of(*model.answer(work, made)))

    async def _body(self, request: Request) -> bytes:
        """A request's body; of one that is too large the rest is read and forgotten, so that its sender listens."""
        coding = request.headers.get("content-encoding", "identity")
        if coding != "identity":
            raise HTTPException(415, f"a body must not be compressed; this one is compressed by {coding}")
        most, content, size = int(self.limits.body * MIB), bytearray(), 0
        if "expect" in request.headers:  # it waits for a word before it sends
            size = int(request.headers.get("content-length", 0))
        if size <= most:
            size = 0
            async for part in request.stream():
                size += len(part)
                content += part if size <= most else b""
        if size > most:
            raise HTTPException(413, f"a request may have at most {most} bytes; this one has more: send fewer rows")
        return bytes(content)

    async def _do(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Work, in its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)


def asked(request: Request, content: bytes, model: ServedModel) -> Asked:
    """What a request's headers, query and body ask for."""
    told = request.headers.get(JSON_BYTES)
    if told is not None and not re.fullmatch("[0-9]{1,12}", told):
        raise ConfigError(f"{JSON_BYTES} must be a number of bytes; got {told!r}")
    if told is None and request.headers.get("content-type") == RAW:
        told = "0"
    if told is None:
        return read_request(content)
    if int(told):
        return read_request(content, int(told))
    given = {}
    for name, value in request.query_params.items():
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    parameters = parameters_of({"binary_data_output": True} | given)
    return Asked({MATRIX: from_raw(content, model.run.schema)}, parameters)


def response_of(told: dict[str, Any], behind: bytes) -> Response:
    """JSON alone, or JSON and the bytes of tensors."""
    text = json.dumps(told, allow_nan=False, separators=(",", ":")).encode()
    if not behind:
        return Response(text, media_type="application/json")
    return Response(text + behind, media_type=RAW, headers={JSON_BYTES: str(len(text))})
