"""A venue as a service: HTTP API, signatures, event stream, metrics, dashboard."""
