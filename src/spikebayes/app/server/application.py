"""The paths of the protocol, and who may ask."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteException

from spikebayes.app.server.refusals import refusal
from spikebayes.app.server.served_model import VERSION
from spikebayes.app.server.service import Service

EXTENSIONS = ("binary_tensor_data",)
PATHS = "/v2, /v2/health/live, /v2/health/ready, /v2/models/NAME, .../ready, .../infer (POST) and /metrics"


def application(service: Service, token: str | None = None) -> FastAPI:
    """The paths of the protocol, and ``/metrics``.

    Args:
        service: what answers.
        token: that requests must bear, but those for health; None lets all in.
    """
    model = service.model

    async def bears_token(request: Request) -> None:
        scheme, _, given = dict(request.scope["headers"]).get(b"authorization", b"").partition(b" ")
        known = token is None or (scheme.lower() == b"bearer" and secrets.compare_digest(given, token.encode()))
        if not known:
            raise HTTPException(401, "send the header Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})

    async def is_ours(name: str, version: str = VERSION) -> None:
        if (name, version) != (model.name, VERSION):
            here = f"there is {model.name!r}, version {VERSION}"
            raise HTTPException(404, f"there is no model {name!r}, version {version}; {here}")

    def ready(**told: Any) -> JSONResponse:
        return JSONResponse(told | {"ready": not service.stopping}, 503 if service.stopping else 200)

    health, inside = APIRouter(), APIRouter(dependencies=[Depends(bears_token)])

    @health.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @health.get("/v2/health/ready")
    async def server_ready() -> JSONResponse:
        return ready()

    @inside.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": "spikebayes", "version": version("spikebayes"), "extensions": list(EXTENSIONS)}

    @inside.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        of_model = APIRouter(prefix=path, dependencies=[Depends(is_ours)])

        @of_model.get("")
        async def metadata() -> dict[str, Any]:
            return model.metadata()

        @of_model.get("/ready")
        async def model_ready() -> JSONResponse:
            return ready(name=model.name)

        @of_model.post("/infer")
        async def infer(request: Request) -> Response:
            return await service.infer(request)

        inside.include_router(of_model)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(health)
    app.include_router(inside)

    async def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, StarletteException) and error.detail == HTTPStatus(error.status_code).phrase:
            told = f"{request.method} {request.url.path} is not a request of the protocol; its paths are {PATHS}"
            return refusal(HTTPException(error.status_code, told))
        return refusal(error)

    app.add_exception_handler(StarletteException, refused)
    app.add_exception_handler(Exception, refused)
    return app
