"""The HTTP application over a running service."""

from fastapi import FastAPI

from seawall.service.runtime import Service


def create_app(service: Service) -> FastAPI:
    """The application: API, event stream, metrics, and the dashboard where NiceGUI is installed."""
    app = FastAPI(title="Seawall")
    app.state.service = service
    return app
