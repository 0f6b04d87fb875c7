"""The pages in a real Chromium and a real API server, with users of several roles (``make test-ui``)."""
