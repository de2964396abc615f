"""Makes the ASGI application: its routes, its error answers, its OpenAPI document."""

from fastapi import FastAPI

from clawlog_backend import __version__, problems
from clawlog_backend.backend import Backend
from clawlog_backend.routes import batch, operations, plain


def create_app(backend: Backend) -> FastAPI:
    """The application around a backend, which has to be open while requests are answered."""
    app = FastAPI(
        title="ClawLog",
        version=__version__,
        summary="What long-running agent tasks do, whether they live, and how to stop them.",
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.state.backend = backend
    problems.install(app)
    for router in (plain.router, batch.router, operations.router):
        app.include_router(router)
    return app
