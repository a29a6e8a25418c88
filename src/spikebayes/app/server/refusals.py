"""How the server says no: a status, and one sentence in JSON."""

from __future__ import annotations

import logging

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from spikebayes.errors import SpikebayesError

GONE = 499  # a client that left; nobody reads it


def refusal(error: Exception, seconds: float = 0.0) -> JSONResponse:
    """What is wrong in one sentence, with its status."""
    headers: dict[str, str] = {}
    if isinstance(error, SpikebayesError):
        status, why = 400, " ".join(str(error).split())
    elif isinstance(error, HTTPException):
        status, why, headers = error.status_code, error.detail, dict(error.headers or {})
    elif isinstance(error, TimeoutError):
        why = f"the request took longer than the {seconds:g} s allowed; send it faster, or fewer rows or samples"
        status, headers = 408, {"connection": "close"}
    elif isinstance(error, ClientDisconnect):
        status, why = GONE, "the client left"
    else:
        logging.getLogger("uvicorn.error").error("a request failed", exc_info=error)
        status, why = 500, "the server failed on this request; its log says how"
    return JSONResponse({"error": why}, status, headers)
