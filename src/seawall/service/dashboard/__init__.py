"""The dashboard: pages for people over a running service. Nothing here is read but through the service.

It is served by the same application as the API, needs nothing from the network, and is there only where NiceGUI is
installed (the extra ``dashboard``).
"""

from fastapi import FastAPI

from seawall.service.runtime import Service


def mount(app: FastAPI, service: Service) -> None:
    """Serve the dashboard of a service under ``/dashboard``; call it after the application's own routes are there."""
    from seawall.service.dashboard.desk import Desk
    from seawall.service.dashboard.host import attach

    attach(app, Desk(service))
